"""Requests of the Slicer module, to servers that answer this and that."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from PINLandmarksLib.client import Conflict, Server, ServerError


class Answers(BaseHTTPRequestHandler):
    """Answers as the server was told, and keeps what was asked."""

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        code, headers, content = self.server.answer
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = _answer

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def stand_in():
    """A server that answers ``stand_in.answer`` to everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.asked, server.answer = [], (200, {}, b"{}")
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_save_says_which_version_was_seen(stand_in):
    stand_in.answer = (200, {}, b'{"version": 4, "state": "corrected"}')
    points = [{"name": "nose", "position": [1.0, 2.0, 3.0], "missing": False}]
    saved = Server(stand_in.address + "/", " T ").save("a/b", 3, points, done=True, seconds=1.5)
    assert saved == {"version": 4, "state": "corrected"}
    ((method, path, headers, body),) = stand_in.asked
    assert (method, path) == ("PUT", "/api/volumes/a%2Fb")
    assert (headers["If-Match"], headers["Authorization"]) == ('"3"', "Bearer T")
    assert json.loads(body) == {"landmarks": points, "done": True, "seconds": 1.5}


def test_a_conflict_brings_what_there_is_now(stand_in):
    volume = {"detail": "saved meanwhile", "version": 5, "landmarks": []}
    stand_in.answer = (409, {}, json.dumps(volume).encode())
    with pytest.raises(Conflict, match="saved meanwhile") as raised:
        Server(stand_in.address).save("a", 3, [], done=False)
    assert raised.value.volume == volume


def test_a_redirection_does_not_get_the_token(stand_in):
    stand_in.answer = (302, {"Location": stand_in.address + "/elsewhere"}, b"")
    with pytest.raises(ServerError, match="status 302"):
        Server(stand_in.address, "secret").session()
    assert len(stand_in.asked) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, b"<html>"), "answers something else"),
        ((200, {}, b"[]"), "no server of pin-lightning serve"),
        ((401, {}, b'{"detail": "no token"}'), "no token; give the token"),
        ((404, {}, b"<html>"), "status 404"),
        ((500, {}, b'{"detail": [1]}'), "status 500"),
        ((409, {}, b'{"detail": "is being trained"}'), "is being trained"),
    ],
)
def test_other_answers_are_said_in_one_line(stand_in, answer, said):
    stand_in.answer = answer
    with pytest.raises(ServerError, match=said) as raised:
        Server(stand_in.address).session()
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("address", ["", "ftp://a", "http://", "http://[::1", "file:///etc/passwd"])
def test_other_addresses_are_refused(address):
    with pytest.raises(ServerError, match="give http://HOST:PORT"):
        Server(address)


def test_nobody_there_and_tokens_that_are_none():
    for server in (Server("127.0.0.1:9"), Server("127.0.0.1:9", "a\nb")):
        with pytest.raises(ServerError, match="no answer"):
            server.session()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('attachment; filename="ANNA.nii.gz"', "ANNA.nii.gz"),
        ("attachment; filename*=utf-8''M%C3%BCller%201.nrrd", "Müller 1.nrrd"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=utf-8''..%2F..%5C.bashrc", "bashrc"),
        ('attachment; filename="C:\\a\\b.mha"', "b.mha"),
        ("attachment", "scan.nii.gz"),
        ('attachment; filename=".."', "scan.nii.gz"),
    ],
)
def test_a_scan_is_written_into_its_folder_only(stand_in, tmp_path, said, name):
    stand_in.answer = (200, {"Content-Disposition": said}, b"voxels")
    file = Server(stand_in.address).download("a b", tmp_path)
    assert file == tmp_path / name
    assert file.read_bytes() == b"voxels"
    assert stand_in.asked[0][1] == "/datastore/image?image=a+b"

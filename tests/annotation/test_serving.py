import asyncio
import json
import socket
import sys

import pytest
from served_scans import write_balls

from conftest import composed
from pin_lightning.annotation.address import Address, listening
from pin_lightning.annotation.serving import serve, session_of
from pin_lightning.annotation.volumes import Scans
from pin_lightning.common.ownership import owned_folder


@pytest.fixture
def place(tmp_path):
    write_balls(tmp_path / "scans", 1)
    return tmp_path


def config_of(place, *settings, output="annotations"):
    names = [] if any(one.startswith(("run", "landmarks")) for one in settings) else ["a", "b"]
    given = [f"landmarks=[{','.join(names)}]"] if names else []
    folders = (f"input={place / 'scans'}", f"output={place / output}", "port=0")
    return composed(*folders, *given, *settings, config_name="serve")


def refused(config, match):
    with pytest.raises(ValueError, match=match) as error:
        serve(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ("port=-1", "port=-1: give"),
        ("port=65536", "port=65536: give"),
        ("port=x", "port=x: give"),
        ("host=256.1.1.1", "host=256.1.1.1: is no address"),
        ("host=203.0.113.5", "host=203.0.113.5: is no address"),  # of another machine
        ("token=short", "token: give at least 8"),
        ("token='a token;of marks'", "token: give at least 8"),
        ("links=maybe", "links=maybe: give true or false"),
        ("landmarks=[a,a]", "landmarks: a twice"),
        ("landmarks=nowhere.txt", "landmarks=nowhere.txt: cannot be read"),
        ("landmarks=[]", "landmarks: 0 names"),
        ("landmarks='[Spitze,Würfel]'", r"landmarks=\[Spitze,Würfel\]: is no list; quote each"),
        ("train='nonsense=3'", "train=nonsense=3: nonsense: there is no such setting"),
        ("run=nowhere", "run=nowhere: there is no such folder or file"),
        ("input=nowhere", "input=nowhere: no file matches"),
    ],
)
def test_wrong_settings_end_in_one_line(place, setting, match):
    refused(config_of(place, setting), match)


def test_a_port_that_is_taken(place):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused(config_of(place, f"port={port}"), f"port={port}: is taken by another program")


def test_answers_do_not_wait_for_those_before_them():
    """Else each waits for the other side's acknowledgement, which takes 40 ms."""

    async def waits(at):
        delays = asyncio.Queue()

        def note(reader, writer):
            made = writer.get_extra_info("socket")
            delays.put_nowait(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0)
            writer.close()

        async with await asyncio.start_server(note, sock=at):
            _, writer = await asyncio.open_connection(*at.getsockname()[:2])
            found = await delays.get()
            writer.close()
            return found

    with listening(Address.of("127.0.0.1", 0, None)) as at:
        assert not asyncio.run(waits(at))


def test_what_is_not_installed_is_named(place, monkeypatch):
    monkeypatch.delitem(sys.modules, "pin_lightning.annotation.app", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    refused(config_of(place), r"fastapi is not installed; pip install 'pin-lightning\[serve\]'")


@pytest.mark.parametrize(
    ("output", "match"),
    [
        ("scans", "is .*scans"),
        ("scans/inside", "lies in"),
        (".", "holds"),
        ("link", "is .*scans"),
        ("run", "is .*run"),
        ("run/annotations", "lies in"),
        ("predictions", "holds prediction.json of another program"),
    ],
)
def test_annotations_lie_apart_from_all_else(place, output, match, short_run):
    (place / "link").symlink_to(place / "scans")
    (place / "run").symlink_to(short_run)
    (place / "predictions").mkdir()
    (place / "predictions" / "prediction.json").write_text("{}")
    settings = [f"run={short_run}"] if "run" in output else []
    before = sorted(place.rglob("*"))
    refused(config_of(place, *settings, output=output), f"output=.*{match}")
    assert sorted(place.rglob("*")) == before


def test_one_server_for_a_folder(place):
    with owned_folder("output", place / "annotations"):
        refused(config_of(place), "output=.*annotations: process .* works in it")


def test_names_come_from_what_is_annotated_already(place):
    config = config_of(place, "landmarks=null")
    session = session_of(config, Scans.find(str(place / "scans")))
    assert session.names == ()
    session.close()
    ends = {"label": "end", "positionStatus": "missing"}
    points = [{"label": "tip", "position": [1, 2, 3]}, ends]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points}
    path = place / "annotations" / "ball0.mrk.json"
    path.write_text(json.dumps({"markups": [markup]}))
    session = session_of(config, Scans.find(str(place / "scans")))
    assert session.names == ("tip", "end")
    session.start()
    assert session.progress().done == 1
    session.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_this_machine_needs_no_token(host):
    address = Address.of(host, 8765, None)
    assert address.is_loopback
    assert address.token is None
    assert address.page(8765) in (f"http://{host}:8765/", f"http://[{host}]:8765/")


def test_others_get_a_token_of_their_own():
    one, other = (Address.of("0.0.0.0", 8765, None) for _ in range(2))
    assert not one.is_loopback
    assert one.token != other.token
    assert len(one.token) >= 20
    assert one.page(80).endswith(f":80/?token={one.token}")
    assert Address.of("127.0.0.1", 80, "my_own_token").token == "my_own_token"

"""A real PACS for tests: Orthanc and its DICOMweb plugin, in a folder and on ports of its own."""

import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

PROGRAM = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
BOUNDARY = "part"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def pacs(folder):
    """Run Orthanc within the block; yields the address of its DICOMweb services."""
    port = free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "DicomPort": free_port(),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("w") as log:
        server = subprocess.Popen([PROGRAM, str(path)], stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(server, f"http://127.0.0.1:{port}/system", folder / "orthanc.log")
            yield f"http://127.0.0.1:{port}/dicom-web"
        finally:
            server.terminate()
            server.wait(30)


def _wait(server, address, log):
    for _ in range(120):
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.25)
    raise AssertionError(log.read_text())


def store(web, *paths):
    """STOW-RS: store files; the answer in JSON (DICOM PS3.18 section 10.5)."""
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    parts = b"".join(head + path.read_bytes() + b"\r\n" for path in paths)
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    request = Request(f"{web}/studies", parts + f"--{BOUNDARY}--\r\n".encode(), method="POST")
    request.add_header("Content-Type", kind)
    return _json(request)


def query(web, what):
    """QIDO-RS: what is there (section 10.6)."""
    return _json(Request(f"{web}/{what}"))


def retrieve(web, what):
    """WADO-RS: an object as a file (section 10.4)."""
    request = Request(f"{web}/{what}")
    request.add_header("Accept", 'multipart/related; type="application/dicom"')
    with urlopen(request, timeout=30) as answer:
        body, kind = answer.read(), answer.headers["Content-Type"]
    boundary = kind.split("boundary=")[1].split(";")[0].strip('"').encode()
    _, part, *rest = body.split(b"--" + boundary)
    assert len(rest) == 1, "one object"
    return part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")


def _json(request):
    request.add_header("Accept", "application/dicom+json")
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)

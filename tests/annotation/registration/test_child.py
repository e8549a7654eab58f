import json
import subprocess
import sys

import pytest
from phantom_scans import write_places_of_a_head

from pin_lightning.distributed.process import EXIT_CODE


@pytest.fixture
def request_line(tmp_path):
    """A request that is answered after some seconds."""
    heads = write_places_of_a_head(tmp_path, 2)
    names, positions = heads["head 0"].names, heads["head 0"].positions_world.tolist()
    atlas = {
        "path": str(tmp_path / "head 0.nii.gz"),
        "landmarks": dict(zip(names, positions, strict=True)),
    }
    path = str(tmp_path / "head 1.nii.gz")
    return json.dumps({"path": path, "names": list(names), "atlases": [atlas]}) + "\n"


def child():
    return subprocess.Popen(
        [sys.executable, "-m", "pin_lightning.annotation.registration.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.slow
def test_it_answers_and_ends_without_an_answer_once_the_server_is_gone(request_line):
    with child() as process:
        process.stdin.write(request_line)
        process.stdin.flush()
        assert "positions" in json.loads(process.stdout.readline())
        process.stdin.write(request_line)
        process.stdin.close()  # as the system does when the server is killed
        assert process.stdout.read() == ""
    assert process.returncode == EXIT_CODE

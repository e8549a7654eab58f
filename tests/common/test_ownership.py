import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pin_lightning.common.ownership import LOCK, owned_folder

HOLD = """
import sys
from pin_lightning.common.ownership import owned_folder
with owned_folder("output", sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that works in a folder."""
    (tmp_path / "out").mkdir()
    own = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    given = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(given, env=own, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_program_is_told_who_works_there(holder, tmp_path):
    said = f"output={tmp_path / 'out'}: process {holder.pid} on {socket.gethostname()} works in it"
    with (
        pytest.raises(ValueError, match="works in it") as refused,
        owned_folder("output", tmp_path / "out"),
    ):
        pass
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("how", [signal.SIGKILL, None])
def test_an_ended_program_leaves_the_folder_free(how, holder, tmp_path):
    if how is None:
        holder.stdin.close()
    else:
        holder.send_signal(how)
    holder.wait(10)
    with owned_folder("output", tmp_path / "out") as folder:
        assert str(os.getpid()) in (folder / LOCK).read_text("utf-8")
    assert list(folder.iterdir()) == []


def test_folders_made_for_nothing_go(tmp_path):
    (tmp_path / "before").mkdir()
    with owned_folder("output", tmp_path / "before" / "a" / "b"):
        pass
    assert list((tmp_path / "before").iterdir()) == []
    with owned_folder("output", tmp_path / "before"):
        pass
    with owned_folder("output", tmp_path / "before" / "a" / "b") as folder:
        (folder / "c").touch()
    assert (tmp_path / "before" / "a" / "b" / "c").is_file()


def test_it_is_free_after_an_error_and_whatever_the_file_says(tmp_path):
    with pytest.raises(KeyError), owned_folder("output", tmp_path):
        raise KeyError
    (tmp_path / LOCK).write_bytes(b"\xff" * 10**6)
    with owned_folder("output", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ValueError, match=r"run_dir=.*file.out: cannot be written to"),
        owned_folder("run_dir", tmp_path / "file" / "out"),
    ):
        pass

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pin_lightning.runs import found
from pin_lightning.runs.found import found_run, ready_models
from pin_lightning.runs.packed import unpack, write_packed


def pack(path, text="seed: 0\n"):
    """A packed run that holds only settings; its folder's name is that of the model."""
    staged = path.with_name(f"{path.stem} staged")
    staged.mkdir(exist_ok=True)
    (staged / "config.yaml").write_text(text)
    write_packed(path, staged, path.stem, "1.2")
    return path


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A ready model, skulls."""
    (tmp_path / "models").mkdir()
    pack(tmp_path / "models" / "skulls.zip", "ready: 1\n")
    monkeypatch.setattr(found, "MODELS", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


def settings(run):
    return (found_run(run) / "config.yaml").read_text("utf-8")


def test_a_folder_comes_before_a_ready_model_of_its_name(models, tmp_path):
    assert settings("skulls") == "ready: 1\n"
    assert found_run("skulls").name == "skulls"
    (tmp_path / "skulls").mkdir()
    assert found_run("skulls") == Path("skulls")
    assert found_run(found_run("skulls")) == Path("skulls")


def test_a_file_is_unpacked_once_until_it_changes(tmp_path):
    path = pack(tmp_path / "heads.zip")
    folder = found_run(path)
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 | 0o055
    assert folder.parent.stat().st_mode & 0o077 == 0  # nobody else's
    assert folder == found_run(str(path)) == found_run(path)
    pack(path, "seed: 11\n")
    assert settings(path) == "seed: 11\n"
    assert (folder / "config.yaml").read_text("utf-8") == "seed: 0\n"


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("skull", "run=skull: there is no such folder or file, and no such ready model; did you"),
        ("x", "run=x: there is no such folder or file, and no such ready model; there are skulls"),
        ("a/skulls", "run=a/skulls: there is no such folder or file; give a folder that train.py"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(run, message, models):
    with pytest.raises(ValueError, match=message):
        found_run(run)


def test_no_ready_model_is_named_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(found, "MODELS", tmp_path / "absent")
    assert ready_models() == {}
    with pytest.raises(ValueError, match="run=x: there is no such folder or file; give a folder"):
        found_run("x")


def test_a_damaged_file_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = pack(tmp_path / "heads.zip")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        found_run(path)
    assert not list(tmp_path.glob("pin-lightning-*"))


def test_ready_models_are_small_and_whole(tmp_path):
    for name, path in ready_models().items():
        assert path.stat().st_size <= 15e6
        folder = unpack(path, tmp_path)
        assert folder.name == name
        assert (folder / "CARD.md").is_file()


def test_a_process_of_multiprocessing_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # the forked one has it, too
    process = multiprocessing.get_context("fork").Process(
        target=found_run, args=(pack(tmp_path / "heads.zip"),)
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    assert not list(tmp_path.glob("pin-lightning-*"))


SCRIPT = """
import sys
from pin_lightning.runs.found import found_run
folder = found_run(sys.argv[1])
print(folder, flush=True)
sys.stdin.read()
"""


def begun(path, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, path],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_begin_at_once_do_not_meet_and_leave_nothing(tmp_path):
    """Their homes cannot be written to."""
    path, place = pack(tmp_path / "heads.zip"), tmp_path / "place"
    place.mkdir()
    processes = [begun(path, TMPDIR=str(place), HOME="/proc") for _ in range(4)]
    folders = {one.stdout.readline().strip() for one in processes}
    assert len(folders) == 4
    assert all(Path(one).parent.parent == place for one in folders)
    for one in processes:
        assert one.communicate()[1] == ""
        assert one.returncode == 0
    assert not list(place.iterdir())

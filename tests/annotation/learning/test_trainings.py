"""Real trainings of seconds on phantoms, in processes of their own."""

import os
import signal
import time

import numpy as np
import pytest
from phantom_scans import TINY, write_heads

from pin_lightning.annotation.learner import DoneVolume
from pin_lightning.annotation.learning import training_folder as files
from pin_lightning.annotation.learning.trainings import TrainingLearner
from pin_lightning.annotation.volumes import volume_id

pytestmark = pytest.mark.slow
LONG = (*TINY[:2], "trainer.max_steps=100000", "trainer.val_check_interval=5", *TINY[4:])


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Five corrected heads, of each of which one point was moved by 2 mm."""
    folder, found = tmp_path_factory.mktemp("scans"), []
    for name, marks in write_heads(folder, 5).items():
        before = dict(zip(marks.names, map(tuple, marks.positions_world.tolist()), strict=True))
        x, y, z = before[marks.names[0]]
        before[marks.names[0]] = (x, y, z + 2.0)
        path = folder / f"{name}.nii.gz"
        found.append(DoneVolume(volume_id(name), name, path, marks, True, before))
    return found


def learner_in(tmp_path, more=TINY, **called):
    return TrainingLearner(tmp_path / "trainings", more=more, **called)


def wait_for(learner, *states, seconds=240):
    until = time.monotonic() + seconds
    while (now := learner.status())["state"] not in states:
        assert time.monotonic() < until, now
        time.sleep(0.2)
    return now


def wait_until(is_so, seconds=240):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.2)


def wait_for_steps(learner, seconds=240):
    until = time.monotonic() + seconds
    while (now := learner.status())["step"] < 5:
        assert now["state"] == "running", now
        assert time.monotonic() < until, now
        time.sleep(0.2)


def test_a_training_finishes_says_what_it_improved_and_is_found_again(volumes, tmp_path):
    said, runs = [], []
    learner = learner_in(tmp_path, told=said.append, finished=runs.append)
    assert learner.status()["state"] == "idle"
    with pytest.raises(ValueError, match="4 volumes are done: training needs 5; finish 1 more"):
        learner.start(volumes[:4])
    learner.start(volumes)
    with pytest.raises(ValueError, match="a training is running"):
        learner.start(volumes)
    learner.close()  # as when the server ends: the training goes on
    other = learner_in(tmp_path, told=said.append, finished=runs.append)
    status = wait_for(other, "finished", "failed")
    assert status["state"] == "finished", (tmp_path / "trainings" / "001" / "train.log").read_text()
    assert status["step"] == status["steps"] == 8
    result = status["result"]
    assert result["moved_points"] == 5
    assert result["moved_points_before_mm"] == pytest.approx(2.0)
    assert result["text"].startswith("5 moved points: 2.00 mm off before")
    assert {one["id"] for one in result["corrected"]} == {one.id for one in volumes}
    until = time.monotonic() + 10
    while not runs and time.monotonic() < until:
        time.sleep(0.1)
    assert runs == [other.run()] == [tmp_path / "trainings" / "001" / "run"]
    assert [one["state"] for one in said][-1] == "finished"
    assert not list((tmp_path / "trainings").rglob("head *.nii.gz"))  # no image is copied
    assert isinstance(other.contradictions(), list)
    third = learner_in(tmp_path)
    assert third.run() == runs[0]
    assert "train again" in third.advice(9, 40)


def test_a_cancelled_training_ends_with_all_its_processes_and_is_used_by_none(volumes, tmp_path):
    learner = learner_in(tmp_path, LONG)
    learner.start(volumes)
    wait_for_steps(learner)
    pid = learner._process.pid
    learner.cancel()
    assert learner.status()["state"] == "cancelled"
    assert learner.run() is None
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)
    learner.start(volumes)  # begins anew
    assert learner._last().name == "002"
    learner.cancel()
    assert learner.status()["state"] == "cancelled"


def test_what_is_left_of_a_killed_training_can_be_cancelled(volumes, tmp_path):
    learner = learner_in(tmp_path, LONG)
    learner.start(volumes)
    wait_for_steps(learner)
    os.kill(learner._process.pid, signal.SIGKILL)  # the process that waits for it alone
    learner._process.wait()
    assert learner.status()["state"] == "running"
    with pytest.raises(ValueError, match="a training is running"):
        learner.start(volumes)
    learner.cancel()
    assert learner.status()["state"] == "cancelled"
    assert not files.is_at_work(learner._last())


def test_a_killed_training_goes_on_where_it_was(volumes, tmp_path):
    learner = learner_in(tmp_path, LONG)
    learner.start(volumes)
    wait_for_steps(learner)
    folder = tmp_path / "trainings" / "001"
    wait_until(lambda: (folder / "run/fold0/checkpoints/last.ckpt").is_file())
    pid = files.read_object(folder / files.JOB)["pid"]
    os.killpg(pid, signal.SIGKILL)
    status = wait_for(learner, "failed")
    assert "started again, it goes on" in status["message"]
    other = learner_in(tmp_path, LONG)
    other.start(volumes)
    assert other._last() == folder
    wait_until(lambda: "goes on after step" in (folder / "train.log").read_text())
    other.cancel()


def test_a_training_that_is_refused_says_why(volumes, tmp_path):
    learner = learner_in(tmp_path, (*TINY, "model.alpha=7"))
    learner.start(volumes)
    status = wait_for(learner, "failed")
    assert "model.alpha=7" in status["message"]
    assert np.isfinite(status["seconds"])

import os
import resource
import shutil
import signal
import threading
import time

import numpy as np
import pytest

from pin_lightning.annotation.predicting_run import PredictingRun
from pin_lightning.annotation.prediction_child import DiskFull
from pin_lightning.annotation.predictions import Predictions, _has_space
from pin_lightning.inference.inputs import find_inputs
from pin_lightning.inference.records import Failed
from pin_lightning.runs.folder import read_record
from pin_lightning.runs.predictor import Predictor

SECONDS = 120


class Told:
    """What was told, in its order."""

    def __init__(self):
        self.names, self._changed = [], threading.Condition()

    def __call__(self, name):
        with self._changed:
            self.names.append(name)
            self._changed.notify_all()

    def wait_for(self, number):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.names) >= number, SECONDS)


@pytest.fixture
def images(phantom_root, tmp_path):
    """A few scans, and one that cannot be read."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for path in sorted((phantom_root / "images").iterdir())[:4]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "zero.nii").write_bytes(b"no image")
    return folder


def begun(images, folder, run, done=lambda name: False):
    told = Told()
    predictions = Predictions(folder, find_inputs(str(images)), told)
    settings = {"device": "cpu"}
    predictions.use(PredictingRun(run, read_record(run).names, settings), done)
    return predictions, told


@pytest.mark.slow
def test_a_process_predicts_what_is_asked_first_and_goes_on_where_it_was_killed(
    images, short_run, tmp_path
):
    names = sorted(find_inputs(str(images)))
    first, last, skipped = names[0], names[3], names[2]
    predictions, told = begun(images, tmp_path / "out", short_run, lambda name: name == skipped)
    predictions.ask(last)
    told.wait_for(1)
    assert told.names == [last]  # though it has begun with nothing
    child = predictions._child._process.pid
    os.kill(child, signal.SIGKILL)
    told.wait_for(4)
    assert sorted(told.names) == sorted(set(names) - {skipped})
    assert predictions.of(skipped) is None
    if isinstance(predictions.of(first), Failed):  # it was at work when it was killed
        predictions.ask(first)
        told.wait_for(5)
    assert not predictions.waiting
    assert isinstance(predictions.of("zero"), Failed)
    expected = Predictor.load(short_run, device="cpu").predict(images / f"{last}.nii.gz")
    found = predictions.of(last).positions_world
    np.testing.assert_allclose(found, expected.positions_world, atol=1e-3)
    child = predictions._child._process
    predictions.close()
    assert child.returncode is not None

    again, told = begun(images, tmp_path / "out", short_run)  # as after a restart of the server
    np.testing.assert_array_equal(again.of(last).positions_world, found)
    told.wait_for(1)
    assert told.names == [skipped]  # all else is done
    again.close()


@pytest.mark.slow
def test_a_run_that_cannot_be_loaded_is_said_and_ends_nothing(images, short_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(short_run, run)
    shutil.rmtree(run / "checkpoints")
    predictions, _ = begun(images, tmp_path / "out", run)
    deadline = time.monotonic() + SECONDS
    while not predictions.problem:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "checkpoints" in predictions.problem
    predictions.close()


def test_a_process_that_cannot_be_started_is_said(images, short_run, tmp_path, monkeypatch):
    def refuse():
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("pin_lightning.annotation.predictions.PredictionChild", refuse)
    predictions, _ = begun(images, tmp_path / "out", short_run)
    predictions._thread.join(SECONDS)
    assert "Cannot allocate memory" in predictions.problem
    predictions.close()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the system limits no other process")
def test_after_a_full_disk_predictions_go_on_by_themselves(
    images, short_run, tmp_path, monkeypatch
):
    """A limit on the size of its files is a full disk for the process that predicts."""
    monkeypatch.setattr("pin_lightning.annotation.predictions.PAUSE_S", 0.05)
    is_full, looks = threading.Event(), []

    def has_space(folder):
        looks.append(folder)
        return not is_full.is_set()

    monkeypatch.setattr("pin_lightning.annotation.predictions._has_space", has_space)
    predictions, told = begun(images, tmp_path / "out", short_run, lambda name: True)
    troubles = []
    predictions._troubled = lambda: troubles.append(predictions.problem)
    name = sorted(find_inputs(str(images)))[0]
    predictions.ask(name)
    told.wait_for(1)
    first = predictions._child._process
    is_full.set()
    resource.prlimit(first.pid, resource.RLIMIT_FSIZE, (0, 0))
    predictions.ask(name)
    deadline = time.monotonic() + SECONDS
    while len(looks) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.wait()
    assert predictions._child._process is first  # no other one is started meanwhile
    assert "goes on by itself once there is space" in predictions.problem
    assert predictions.waiting == 1
    is_full.clear()
    told.wait_for(2)
    assert told.names == [name] * 2
    assert predictions._child._process is not first
    assert [bool(one) for one in troubles] == [True, False]
    predictions.close()


def test_no_space_is_found_out_by_writing(tmp_path):
    assert _has_space(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").touch()
    assert not _has_space(tmp_path / "file")


def test_a_server_that_ends_does_not_wait_for_space(images, short_run, tmp_path, monkeypatch):
    class Full:
        def begin(self, *_):
            pass

        def answer(self):
            raise DiskFull("No space left on device")

        def end(self):
            pass

    monkeypatch.setattr("pin_lightning.annotation.predictions.PredictionChild", Full)
    monkeypatch.setattr("pin_lightning.annotation.predictions._has_space", lambda _: False)
    predictions, _ = begun(images, tmp_path / "out", short_run)
    deadline = time.monotonic() + SECONDS
    while "No space left" not in predictions.problem:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    thread = predictions._thread
    predictions.close()
    assert not thread.is_alive()

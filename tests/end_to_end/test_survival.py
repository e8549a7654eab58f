"""Processes that are asked to end or run out of disk, and go on by the same command."""

import csv
import logging
import os
import subprocess
import sys
import time

import pytest
from training.callbacks.test_checkpoints import LOADERS, TINY, check_same_end

from conftest import REPOSITORY, composed
from pin_lightning.runs.model import read_checkpoint
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.training.callbacks.stop_together import EVERY
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow
STEPS = ["trainer.max_steps=60", "checkpoint.every_steps=1"]


@pytest.fixture(scope="module")
def tiny(short_settings):
    """Settings of a training of seconds, by loader."""
    settings = [one for one in short_settings if not one.startswith(("loader.", "run_"))]
    return {loader: [*settings, *TINY, *own, *STEPS] for loader, own in LOADERS.items()}


def start(program, settings, run_dir, limit=None):
    """A process that writes to `out.txt` beside the run folder, and no file of more KiB."""
    given = dict(one.split("=", 1) for one in [*settings, f"run_dir={run_dir}"])
    arguments = [*program, *map("=".join, given.items())]
    limited = f"ulimit -f {limit}; " if limit else ""
    with (run_dir.parent / "out.txt").open("w") as out:
        return subprocess.Popen(
            ["bash", "-c", f'{limited}exec "$0" "$@"', sys.executable, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def last_step(run_dir):
    path = run_dir / "checkpoints" / "last.ckpt"
    return read_checkpoint(path)["global_step"] if path.is_file() else 0


def wait_until(happened, process):
    while not happened():
        assert process.poll() is None, "ended too early"
        time.sleep(0.01)


def asked_to_end(process, run_dir):
    """The step at which a training ends that is asked to after a validation, and its messages."""
    wait_until(lambda: (run_dir / "checkpoints" / "best.ckpt").is_file(), process)
    process.terminate()
    assert process.wait() == 143
    said, step = (run_dir.parent / "out.txt").read_text("utf-8"), last_step(run_dir)
    assert f"asked to end: step {step} is saved, the same command with ckpt_path=last" in said
    assert "Traceback" not in said
    return step, said


def test_asked_to_end_it_saves_its_step_and_says_how_to_go_on(tiny, tmp_path):
    # Neither a validation nor a save was due.
    settings = [*tiny["resident"], "checkpoint.every_steps=null", "trainer.val_check_interval=25"]
    whole, run_dir = tmp_path / "whole", tmp_path / "cut"
    train(composed(*settings, "run_name=x", "run_dir=unused"), whole)
    step, _ = asked_to_end(start(["train.py"], settings, run_dir), run_dir)
    assert 25 <= step < 60
    train(composed(*settings, "run_name=x", "run_dir=unused"), run_dir)
    check_same_end(run_dir, whole)


def test_processes_that_are_spawned_save_where_the_first_is_asked_to_end(tiny, tmp_path):
    several = ["strategy=ddp_spawn", "trainer.devices=2", "trainer.accelerator=cpu"]
    endless = ["trainer.max_steps=100000", "checkpoint.every_steps=null"]
    run_dir = tmp_path / "run"
    process = start(["train.py"], [*tiny["resident"], *several, *endless], run_dir)
    step, said = asked_to_end(process, run_dir)
    assert step % EVERY == 1  # the question was asked before
    assert "Warning" not in said  # of Lightning


def test_folds_go_on_where_they_were_killed(tiny, tmp_path, caplog):
    settings = [*tiny["resident"], "data.split.folds=2", "calibration.coverage=null"]
    settings += ["trainer.max_steps=200", "folds_at_once=2"]  # one must not end before both began
    program, run_dir = ["-m", "pin_lightning.cross_validate"], tmp_path / "cut"
    process = start(program, settings, run_dir)
    folds = [run_dir / f"fold{number}" for number in range(2)]
    wait_until(lambda: all(last_step(fold) > 1 for fold in folds), process)
    process.terminate()  # its processes are asked to end, too
    assert process.wait() == 143
    saved = [last_step(fold) for fold in folds]
    caplog.set_level(logging.INFO)
    settings = [one for one in settings if not one.startswith("folds_at_once")]
    settings += ["checkpoint.every_steps=null", "run_name=x", "run_dir=unused"]  # none is killed
    config = composed(*settings, config_name="cross_validate")
    cross_validate(config, run_dir)
    for fold, step in zip(folds, saved, strict=True):
        assert f"goes on after step {step}, from {fold}" in caplog.text
    cross_validate(config, tmp_path / "whole")
    for fold in folds:
        check_same_end(fold, tmp_path / "whole" / fold.name)
    predictions = [one / "predictions.csv" for one in (run_dir, tmp_path / "whole")]
    first, second = (list(csv.DictReader(path.open(newline=""))) for path in predictions)
    for row, other in zip(first, second, strict=True):
        assert [row[key] for key in "xyz"] == [other[key] for key in "xyz"]


def test_a_full_disk_is_one_line_and_the_last_checkpoint_is_kept(tiny, tmp_path):
    run_dir, settings = tmp_path / "run", tiny["queue"]
    first = [*settings, "trainer.max_steps=7", "model.scheduler=null"]
    train(composed(*first, "run_name=x", "run_dir=unused"), run_dir)
    # No file may be larger than half a checkpoint.
    limit = (run_dir / "checkpoints" / "last.ckpt").stat().st_size // 2048
    process = start(["train.py"], [*settings, "model.scheduler=null"], run_dir, limit)
    assert process.wait() == 2
    said = (tmp_path / "out.txt").read_text("utf-8")
    (line,) = [one for one in said.splitlines() if one.startswith("error: ")]
    assert f"error: run_dir={run_dir}: no space left to write to: File too large" in line
    assert "the checkpoint of step 7 is kept; free space and go on with ckpt_path=last" in line
    assert "Traceback" not in said
    assert last_step(run_dir) == 7
    kept = {one.name for one in (run_dir / "checkpoints").iterdir()}
    assert kept == {"best.ckpt", "last.ckpt"}
    more = [*settings, "trainer.max_steps=9", "model.scheduler=null"]
    train(composed(*more, "run_name=x", "run_dir=unused"), run_dir)
    assert last_step(run_dir) == 9

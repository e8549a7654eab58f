"""Real processes: two write the same results as one."""

import csv
from collections import Counter

import numpy as np
import pytest
import torch
from programs import run

from conftest import REPOSITORY, composed
from pin_lightning.runs.model import read_checkpoint
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

# Begins as the program does; its second process then fails.
FAILS = """
import os, signal
if os.environ.get("LOCAL_RANK", "0") == "1":
    from {module} import {kind}
    do, calls = {kind}.{method}, []
    def fail(*args):
        calls.append(args)
        if len(calls) == {call}:
            {fail}
        return do(*args)
    {kind}.{method} = fail
program = {program!r}
exec(compile(open(program).read(), program, "exec"))
"""


def failing(program, folder, place, call, fail):
    """A copy of a program in which some call of a method (`place`) fails."""
    module, kind, method = place
    names = {"module": module, "kind": kind, "method": method}
    text = FAILS.format(**names, call=call, fail=fail, program=str(REPOSITORY / program))
    (folder / program).write_text(text)
    return folder / program


def run_both(program, *arguments, cwd):
    """With a core for each process, and this package wherever the program lies."""
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    return run(program, *arguments, cwd=cwd, **own)


@pytest.fixture(scope="module")
def settings(short_settings, tmp_path_factory):
    """A training of seconds, of a network whose loss is the mean of those of its samples."""
    kept = [one for one in short_settings if not one.startswith(("network.", "loader."))]
    kept += ["model=shared", "model.patch_side=9", "model.num_starts=2", "augmentation=full"]
    kept += ["data.split.val_fraction=0.3", "trainer.accelerator=cpu"]
    kept += ["trainer.precision=32-true"]  # in bfloat16 sums over other batches differ by more
    kept += ["trainer.max_steps=8", "trainer.val_check_interval=4", "trainer.log_every_n_steps=1"]
    return dict(
        one.split("=", 1) for one in [*kept, f"data.cache_dir={tmp_path_factory.mktemp('c')}"]
    )


def given(settings, **others):
    changed = settings | {key.replace("__", "."): value for key, value in others.items()}
    return [f"{key}={value}" for key, value in changed.items()]


TWO = {"strategy": "ddp", "trainer__devices": 2, "loader__batch_size": 2}


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    """Run folder of one process, with the batch of two."""
    run_dir = tmp_path_factory.mktemp("one") / "run"
    train(composed(*given(settings, loader__batch_size=4)), run_dir)
    return run_dir


@pytest.fixture(scope="module")
def together(settings, tmp_path_factory):
    """Run folder of two processes, and what they said; volumes are mapped from one file."""
    folder = tmp_path_factory.mktemp("two")
    arguments = given(settings, **TWO, run_dir=folder / "run", loader__memory_gb=0)
    done = run_both(REPOSITORY / "train.py", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done


def curves(run_dir):
    with (run_dir / "logs" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def assert_same_curves(run_dir, other):
    """Same curves of training, of validation on three cases, and of each landmark."""
    one, two = curves(run_dir), curves(other)
    assert one.keys() == two.keys()
    assert len([name for name in one if name.startswith("val_landmark/")]) == 10
    assert np.isfinite(one["train/loss"]).sum() == 8
    assert np.isfinite(one["val/radial_error_mm"]).sum() == 2
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_two_processes_train_as_one_with_both_batches(alone, together):
    assert_same_curves(alone, together[0])
    one, two = (
        read_checkpoint(run_dir / "checkpoints" / "last.ckpt") for run_dir in (alone, together[0])
    )
    assert one["global_step"] == two["global_step"] == 8
    for name, weights in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], weights, rtol=1e-3, atol=1e-5)


def test_a_pose_stage_is_trained_by_two_processes_as_by_one(settings, tmp_path):
    kept = {key: one for key, one in settings.items() if key != "pose"}
    posed = {"pose": "find", "pose__steps": 6, "pose__calibration_folds": 0}
    posed |= {"trainer__max_steps": 2, "trainer__val_check_interval": 2}
    alone = given(kept, **posed, pose__batch_size=4, loader__batch_size=4)
    train(composed(*alone), tmp_path / "one")
    pair = TWO | {"pose__batch_size": 2, "run_dir": tmp_path / "two"}
    done = run_both(REPOSITORY / "train.py", *given(kept, **posed, **pair), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    one, two = (
        read_checkpoint(tmp_path / run_dir / "pose" / "checkpoints" / "last.ckpt")["state_dict"]
        for run_dir in ("one", "two")
    )
    assert one.keys() == two.keys()
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-3, atol=1e-5)
    left, expected = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "two", tmp_path / "one")
    )
    assert left == expected | {"train.log"}


def test_only_the_first_process_writes_and_speaks(alone, together):
    run_dir, done = together
    left = {path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file()}
    expected = {path.relative_to(alone).as_posix() for path in alone.rglob("*") if path.is_file()}
    assert left == expected | {"train.log"}
    assert sorted(path.name for path in run_dir.parent.iterdir()) == ["run"]
    said = [line for line in done.stdout.splitlines() if "[INFO]" in line or "[WARNING]" in line]
    assert len(said) > 5
    assert (run_dir / "train.log").read_text("utf-8").splitlines() == said
    assert max(Counter(line.split(" - ", 1)[1] for line in said).values()) == 1
    assert "Traceback" not in done.stderr
    (steps,) = np.unique(curves(run_dir)["step"], return_counts=True)[1:]
    assert (steps == np.unique(curves(alone)["step"], return_counts=True)[1]).all()


def test_processes_that_are_spawned_train_the_same(settings, tmp_path):
    """With a validation case for one of them only."""
    few = {"data__split__val_fraction": 0.1, "logger": "csv"}
    train(composed(*given(settings, **few, loader__batch_size=4)), tmp_path / "one")
    two = {**TWO, **few, "strategy": "ddp_spawn"}
    arguments = given(settings, **two, run_dir=tmp_path / "two")
    done = run_both(REPOSITORY / "train.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_curves(tmp_path / "one", tmp_path / "two")
    validations = [line for line in done.stdout.splitlines() if "validation error" in line]
    assert len(validations) == 2
    assert all(line in (tmp_path / "two" / "train.log").read_text("utf-8") for line in validations)


def test_a_mistake_in_another_process_ends_all_in_a_line_and_they_can_go_on(
    settings, together, tmp_path
):
    place = ("pin_lightning.training.samples.resident", "ResidentLoader", "draw")
    fail = "raise ValueError('data.root=x: went away')"
    script = failing("train.py", tmp_path, place, 6, fail)
    arguments = given(settings, **TWO, checkpoint__every_steps=1, run_dir=tmp_path / "run")
    done = run_both(script, *arguments, cwd=tmp_path)
    assert done.returncode not in (0, 1)  # 2, or killed by the thread with which Lightning watches
    assert "error: rank 1: data.root=x: went away" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "metrics.json").exists()
    done = run_both(REPOSITORY / "train.py", *arguments, "ckpt_path=last", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "goes on after step " in done.stdout
    cut, whole = (
        read_checkpoint(one / "checkpoints" / "last.ckpt")["state_dict"]
        for one in (tmp_path / "run", together[0])
    )
    assert all(torch.equal(cut[name], weights) for name, weights in whole.items())

"""Every program, asked to end at some moment of its work: one line, and the signal's exit code."""

import os
import random
import signal
import subprocess
import sys

import pytest

from conftest import REPOSITORY

pytestmark = pytest.mark.slow

MOMENTS = random.Random(0)
CODES = {"SIGTERM": 143, "SIGINT": 130}
LINES = {"SIGTERM": "error: ended by SIGTERM\n", "SIGINT": "error: ended by Ctrl-C\n"}


@pytest.fixture
def arguments(short_run, short_settings, phantom_root, tmp_path):
    own = [one for one in short_settings if not one.startswith(("run_name", "run_dir"))]
    own += [f"run_dir={tmp_path}/run", "trainer.max_steps=3000"]
    new = ["data=folder", f"data.root={phantom_root}"]
    return {
        "train": ["train.py", *own],
        "cross_validate": ["-m", "pin_lightning.cross_validate", *own, "folds_at_once=2"],
        "infer": [
            "infer.py",
            f"run={short_run}",
            f"input={phantom_root}/images",
            f"output={tmp_path}",
        ],
        "evaluate": [
            "-m",
            "pin_lightning.evaluate",
            f"run={short_run}",
            *new,
            f"output={tmp_path}",
        ],
        "check": ["-m", "pin_lightning.check", *new, f"sheet={tmp_path}/sheet.png"],
        "export": ["-m", "pin_lightning.export", f"run={short_run}", f"output={tmp_path}"],
    }


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize(
    "program", ["train", "cross_validate", "infer", "evaluate", "check", "export"]
)
def test_it_ends_with_one_line_whatever_it_is_doing(program, name, arguments, tmp_path):
    process = subprocess.Popen(
        [sys.executable, *arguments[program]],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        process.wait(MOMENTS.uniform(1, 5))
    except subprocess.TimeoutExpired:
        process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    if process.returncode != 0:  # it may have been done
        assert (process.returncode, said) == (CODES[name], LINES[name])
    hidden = [path.name for path in tmp_path.rglob(".part-*")]
    assert hidden == []

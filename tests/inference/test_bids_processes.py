"""Participants as processes of their own, at the same time and killed."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import started_at_once
from bids_data import write_bids

from conftest import REPOSITORY

pytestmark = pytest.mark.slow

NAMES = tuple(f"sub-{sub}_ses-{ses}_T1w" for sub in ("01", "02") for ses in range(12))
LONGEST = 300  # seconds


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_bids(tmp_path_factory.mktemp("bids") / "heads", NAMES)


@pytest.fixture
def command(root, short_run):
    def given(output, level, *options):
        run = ["--run", short_run, "--device", "cpu", "--batch-size", "1"]
        return list(map(str, ["-m", "pin_lightning.bids", root, output, level, *run, *options]))

    return given


@pytest.fixture
def start(command, tmp_path):
    """Starts a process, and gives it with the file of what it says."""
    numbers = itertools.count()

    def begin(*given):
        said = tmp_path / f"said{next(numbers)}.txt"
        return started_at_once.begin(command(*given), said), said

    return begin


def ended(process, said, code=0):
    assert process.wait(LONGEST) == code, said.read_text("utf-8")
    return said.read_text("utf-8")


def contents(output):
    """All derivatives; times are left out."""
    found = {}
    for path in sorted(output.rglob("*")):
        below = path.relative_to(output)
        if path.is_file() and below.parts[0] != "predictions":
            text = path.read_text("utf-8")
            about = json.loads(text) if path.suffix == ".json" else {}
            known = about.pop("Seconds", None) is not None
            found[str(below)] = about if known else text
    return found


def test_two_participants_at_once_of_which_one_is_killed(start, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    ended(*start(whole, "participant"))
    ended(*start(whole, "group"))
    first, second = (
        start(cut, "participant", "--participant-label", one) for one in ("01", "sub-02")
    )
    until = time.monotonic() + LONGEST
    while not list((cut / "predictions" / "records").glob("sub-01*.json")):
        assert time.monotonic() < until
        assert first[0].poll() is None
        time.sleep(0.005)
    os.killpg(first[0].pid, signal.SIGKILL)
    first[0].wait()
    ended(*second)
    done = len(list((cut / "predictions" / "records").glob("sub-01*.json")))
    assert done < 12
    assert "missing: " in ended(*start(cut, "group"), code=2)
    said = ended(*start(cut, "participant", "--participant-label", "01"))
    assert f"{done} volumes predicted before, 0 failed before, {12 - done} to do" in said
    ended(*start(cut, "group"))
    assert contents(cut) == contents(whole)
    assert len([name for name in contents(cut) if name.endswith(".fcsv")]) == len(NAMES)


def test_asked_to_end_it_says_so_in_one_line(command, tmp_path):
    process = subprocess.Popen(
        [sys.executable, *command(tmp_path / "out", "participant")],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    until = time.monotonic() + LONGEST
    while not list((tmp_path / "out").glob("predictions/records/sub-*.json")):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.005)
    process.terminate()
    said = process.communicate(timeout=LONGEST)[0]
    assert process.returncode == 143
    assert said.splitlines()[-1] == "error: ended by SIGTERM"
    assert "Traceback" not in said

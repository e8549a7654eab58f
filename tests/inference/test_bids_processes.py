"""Participants as processes of their own, at the same time and killed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from bids_data import write_bids

from conftest import REPOSITORY

pytestmark = pytest.mark.slow

NAMES = tuple(f"sub-{sub}_ses-{ses}_T1w" for sub in ("01", "02") for ses in range(12))
LONGEST = 300  # seconds


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_bids(tmp_path_factory.mktemp("bids") / "heads", NAMES)


@pytest.fixture
def start(root, short_run):
    def begin(output, level, *options):
        run = ["--run", short_run, "--device", "cpu", "--batch-size", "1"]
        command = ["-m", "pin_lightning.bids", root, output, level, *run, *options]
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    return begin


def ended(process):
    said = process.communicate(timeout=LONGEST)[0]
    assert process.returncode == 0, said
    return said


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
    ended(start(whole, "participant"))
    ended(start(whole, "group"))
    both = [start(cut, "participant", "--participant-label", one) for one in ("01", "sub-02")]
    until = time.monotonic() + LONGEST
    while not list((cut / "predictions" / "records").glob("sub-01*.json")):
        assert time.monotonic() < until
        assert both[0].poll() is None
        time.sleep(0.005)
    both[0].send_signal(signal.SIGKILL)
    both[0].communicate()
    ended(both[1])
    done = len(list((cut / "predictions" / "records").glob("sub-01*.json")))
    assert done < 12
    group = start(cut, "group")
    assert "missing: " in group.communicate(timeout=LONGEST)[0]
    assert group.returncode == 2
    said = ended(start(cut, "participant", "--participant-label", "01"))
    assert f"{done} volumes predicted before, 0 failed before, {12 - done} to do" in said
    ended(start(cut, "group"))
    assert contents(cut) == contents(whole)
    assert len([name for name in contents(cut) if name.endswith(".fcsv")]) == len(NAMES)


def test_asked_to_end_it_says_so_in_one_line(start, tmp_path):
    process = start(tmp_path / "out", "participant")
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

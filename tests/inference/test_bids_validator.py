"""The derivatives are valid in the eyes of the BIDS validator itself.

It is `bids-validator-deno` of PyPI, the validator that BIDS maintains: one that is installed, or
one that is fetched for the test. The older one of npm (`bids-validator`) knows no derivatives.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bids_data import IMAGES, path_of, write_bids
from programs import run

pytestmark = pytest.mark.slow

VALIDATOR = "bids-validator-deno"
FETCHED = f"{VALIDATOR}==3.0.2"


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """Program of the validator."""
    beside = Path(sys.executable).with_name(VALIDATOR)
    known = shutil.which(VALIDATOR) or (str(beside) if beside.is_file() else None)
    if known:
        return known
    place = tmp_path_factory.mktemp("validator")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = next(place.glob("*/python"))
    fetch = [python, "-m", "pip", "install", "-q", FETCHED]
    fetched = subprocess.run(fetch, capture_output=True, encoding="utf-8", check=False)
    if fetched.returncode:
        reason = fetched.stderr.strip().splitlines()[-1:]
        pytest.skip(f"no {VALIDATOR}, and it cannot be fetched: pip install {FETCHED}: {reason}")
    return str(python.with_name(VALIDATOR))


@pytest.fixture(scope="module")
def derivatives(short_run, tmp_path_factory):
    root = write_bids(tmp_path_factory.mktemp("bids") / "heads")
    output = root / "derivatives" / "pin"
    for level in ("participant", "group"):
        done = run("-m", "pin_lightning.bids", root, output, level, "--run", short_run)
        assert done.returncode == 0, done.stdout + done.stderr
    return output


def errors(validator, folder, *options):
    command = [validator, folder, "--format", "json", *options]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    found = [(one["code"], one["location"]) for one in issues if one["severity"] == "error"]
    assert bool(done.returncode) == bool(found)
    return found


def test_the_derivatives_are_valid(validator, derivatives):
    assert errors(validator, derivatives) == []
    assert len(list(derivatives.rglob("*_afids.fcsv"))) == len(IMAGES)


def test_the_data_set_that_holds_them_stays_valid(validator, derivatives):
    """Not with `--recursive`, where the validator reads no `.bidsignore` but that of the root."""
    assert errors(validator, derivatives.parents[1], "--ignoreNiftiHeaders") == []


def test_the_validator_finds_what_is_wrong(validator, derivatives, tmp_path):
    """What `.bidsignore` lists are the landmarks, and nothing else."""
    broken = shutil.copytree(derivatives, tmp_path / "broken")
    (broken / ".bidsignore").unlink()
    refused = {location for _, location in errors(validator, broken)}
    assert f"/{path_of(Path(), 'sub-02_space-T2w_desc-pin_afids', '.tsv')}" in refused
    assert all("_afids." in one or one.startswith("/predictions/") for one in refused)
    (broken / "dataset_description.json").write_text("{}")
    assert "/dataset_description.json" in {one for _, one in errors(validator, broken)}

"""Every command of README and documentation runs, in order, in a fresh copy of the repository.

Trainings and predictions of the pages other than README only compose their configs, unless
``PIN_RUN_ALL_DOCUMENTED`` is set: all of them take a quarter of an hour.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documented_command import NAMES, SKIPPED

from conftest import REPOSITORY
from pin_lightning.data.sources.phantom import phantom_cases

BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if BLOCK.search(page.read_text("utf-8"))]
# What blocks name before a command makes or reads it: a data set, and folders of volumes.
DATA, VOLUMES = "my_skulls", ("new", "new_skulls", "scans")


@pytest.fixture(scope="module")
def samples(short_run, tmp_path_factory):
    """A data set and a run, for what placeholders stand for."""
    folder = tmp_path_factory.mktemp("samples")
    phantom_cases(folder / "data", 20, size=(54, 35, 47), spacing_mm=(3.0, 3.0, 3.0))
    (folder / "data" / "phantom.json").unlink()
    shutil.copytree(short_run, folder / "run")
    return folder


@pytest.fixture
def fresh(samples, tmp_path):
    """A copy of the tracked files, in which commands of the documentation are stand-ins."""
    folder = tmp_path / "fresh"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, encoding="utf-8"
    )
    for name in listed.stdout.strip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    shutil.copytree(samples / "data", folder / DATA)
    for name in VOLUMES:
        (folder / name).mkdir()
        for image in sorted((samples / "data" / "images").iterdir())[:2]:
            shutil.copy(image, folder / name)
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    (commands / "activate").touch()
    stand_in = REPOSITORY / "tests" / "documented_command.py"
    for name in (*NAMES, *SKIPPED):
        text = f'#!/bin/sh\nexec "{sys.executable}" "{stand_in}" {name} "$@"\n'
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    (folder / ".venv" / ".installed").touch()  # for make: the environment is there
    return folder


def environment(fresh, samples):
    """Variables of a shell in the fresh folder, whose code is that of the folder."""
    path = os.pathsep.join([str(fresh / ".venv" / "bin"), os.environ["PATH"]])
    own = {"PATH": path, "PYTHONPATH": str(fresh), "REAL_MAKE": shutil.which("make") or "make"}
    own |= {"SAMPLES": str(samples), "COMMANDS": str(fresh.parent / "commands.jsonl")}
    return {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", **own}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_runs(page, fresh, samples):
    variables = environment(fresh, samples)
    if page.name != "README.md" and "PIN_RUN_ALL_DOCUMENTED" not in os.environ:
        variables["ONLY_COMPOSE"] = "yes"
    for block in BLOCK.findall(page.read_text("utf-8")):
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=fresh,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}"
    log = Path(variables["COMMANDS"])
    commands = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert all(one["code"] == 0 for one in commands)
    ran = [one for one in commands if one["what"] == "ran"]
    unnamed = [one["first"] for one in ran if takes_phantoms(one["given"])]
    assert unnamed or page.name != "README.md"
    assert all("no data named: " in first for first in unnamed)


def takes_phantoms(given):
    """Tell whether a command trains and names no data."""
    trains = any(re.search(r"\b(train|cross[_-]validate)(\.py)?$", one) for one in given[:4])
    named = any(one.startswith(("data=", "data.root=", "experiment=", "--")) for one in given)
    return trains and not named

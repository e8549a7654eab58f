"""Memory of training and inference, which must not grow with the number of volumes."""

import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from training.callbacks.test_checkpoints import TINY

from conftest import REPOSITORY
from pin_lightning.data.sources.phantom import phantom_cases

FEW, MANY = 64, 256
# The volumes of the difference have 41 MB, those that train of it 27 MB.
GRID = ["data.spacing_mm=2.4", "data.grid_size=[64,56,60]"]
MOST_MB = 20
LOADERS = {
    "resident": ["loader=resident", "loader.memory_gb=1e-6"],  # mapped from a file
    "queue": ["loader=queue", "loader.samples_per_volume=8", "loader.queue_length=64"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of few and of many images."""
    folder = tmp_path_factory.mktemp("many")
    for count in (FEW, MANY):
        phantom_cases(folder / str(count), count, (24, 20, 22), (6.5, 6.5, 6.5), seed=0)
    return folder


def peak_mb(*command):
    """Largest memory of a program that belongs to no file."""
    peak = 0
    with TemporaryFile("w+", encoding="utf-8") as said:  # a pipe that nobody reads gets full
        process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
            kinds = re.findall(r"Rss(?:Anon|Shmem):\s+(\d+)", status)
            peak = max(peak, sum(map(int, kinds)))
            time.sleep(0.01)
        said.seek(0)
        assert process.returncode == 0, said.read()
    return peak / 1024


def train(data, count, loader):
    settings = [*TINY, *GRID, *LOADERS[loader], "report.pictures=false", "ckpt_path=null"]
    given = dict(one.split("=", 1) for one in [*settings, "trainer.max_steps=24"])
    folders = [f"data.root={data}/{count}", f"data.cache_dir={data}/cache{count}"]
    arguments = ["model=multi", "pose=as_scanned", *map("=".join, given.items()), *folders]
    return peak_mb("train.py", *arguments, f"run_dir={data}/{loader}{count}")


@pytest.mark.slow
@pytest.mark.parametrize("loader", LOADERS)
def test_of_training_and_evaluation(data, loader):
    assert abs(train(data, MANY, loader) - train(data, FEW, loader)) < MOST_MB


@pytest.mark.slow
def test_of_inference(data):
    run = data / f"resident{FEW}"
    if not run.exists():
        train(data, FEW, "resident")
    few, many = (
        peak_mb("infer.py", f"run={run}", f"input={data}/{count}/images", f"output={data}/{count}o")
        for count in (FEW, MANY)
    )
    assert abs(many - few) < MOST_MB

"""Parts that are killed again and again, and very many volumes."""

import csv
import json
import os
import random
import re
import shutil
import time
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import pytest
import started_at_once

from conftest import composed
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.inference.merging import merge, merge_folder
from pin_lightning.inference.records import RECORDS, Records

pytestmark = pytest.mark.slow

PARTS = ("1/3", "2/3", "3/3")
MANY = int(os.environ.get("PIN_MANY_VOLUMES", "2000"))  # 10000 take minutes


@pytest.fixture(scope="module")
def server():
    return started_at_once.server()


def small_heads(folder, count):
    """Links to a few small images, under so many names in two folders, of which two are damaged."""
    folder.mkdir()
    for seed in range(4):
        head = make_phantom(seed, (18, 12, 16), (9.0, 9.0, 9.0))
        nib.save(nib.Nifti1Image(head.volume, head.affine), folder / f"head{seed}.nii")
    for number in range(count):
        place = folder / "in" / "xy"[number % 2] / f"{number:05}.nii"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(folder / f"head{number % 4}.nii")
    for place in list((folder / "in" / "x").iterdir())[:2]:
        place.unlink()
        place.write_bytes(b"no image")
    return folder / "in"


def settings(run, images, output, *more):
    given = [f"run={run}", f"input={images}/**/*.nii", f"output={output}", "device=cpu"]
    return [*given, "log=json", "num_starts=1", *more]


def begin(server, said, given):
    return started_at_once.start(server, said, started_at_once.predict, given)


def table(path):
    """Rows without times."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def lines(said):
    """Whole lines; the last of a killed process may be torn, or run on in that of the next."""
    found = []
    for line in said.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [line for line in found if "volume" in line]


def spoken(said):
    return sum(one.stat().st_size for one in said.values() if one.exists())


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_parts_that_are_killed_do_every_volume_once(server, short_run, tmp_path):
    """Three work at once, each is killed ten times; in the end all is as of one process."""
    images = small_heads(tmp_path / "heads", 60)
    one = "batch_size=1"  # in other batches float32 is rounded otherwise
    whole, cut, draw = tmp_path / "whole", tmp_path / "cut", random.Random(0)
    alone = begin(server, tmp_path / "alone", settings(short_run, images, whole, one))
    alone.join()
    assert alone.exitcode == 2
    said = {part: tmp_path / f"said{number}" for number, part in enumerate(PARTS)}

    def begin_part(part):
        own = settings(short_run, images, cut, f"part={part}", one)
        return begin(server, said[part], own)

    at_work, places = {}, []
    for _ in range(10):
        at_work, before = {part: begin_part(part) for part in PARTS}, spoken(said)
        while spoken(said) == before and any(one.is_alive() for one in at_work.values()):
            time.sleep(0.002)
        for part in draw.sample(PARTS, 3):
            time.sleep(draw.uniform(0, 0.06))
            at_work[part].kill()  # if it has not come to its end
            at_work[part].join()
            places.append(len(list(Records(cut).names())))
    assert len(set(places)) > 10
    assert places[-1] < 60
    at_work = {part: begin_part(part) for part in PARTS}
    for process in at_work.values():
        process.join()
        assert process.exitcode in (0, 2)
    assert merge(composed(f"output={cut}", config_name="merge")) is False  # two are damaged
    for name in ("landmarks.csv", "failed.csv"):
        assert table(cut / name) == table(whole / name)
    parts = {f"{RECORDS}/parts/{part.replace('/', '-of-')}.json" for part in PARTS}
    assert files(cut) - parts == files(whole) - {f"{RECORDS}/parts/1-of-1.json"}
    for path in whole.glob("*.mrk.json"):
        assert (cut / path.name).read_bytes() == path.read_bytes()
    often = Counter(line["volume"] for part in PARTS for line in lines(said[part]))
    assert set(often.values()) <= {1}
    assert len(often) > 30  # of one that was killed before it could say so there is no line


def memory_mb(process):
    """Memory of a process that belongs to no file; none once it has ended."""
    status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    return sum(map(int, re.findall(r"Rss(?:Anon|Shmem):\s+(\d+)", status))) / 1024


def watched(process, said):
    """Largest memory until 200 volumes were done, and afterwards."""
    peaks = [0.0, 0.0]
    while process.is_alive():
        later = said.exists() and said.read_bytes().count(b"\n") > 200
        peaks[later] = max(peaks[later], memory_mb(process))
        time.sleep(0.1)
    return peaks


def test_memory_does_not_grow_with_the_volumes(server, short_run, tmp_path):
    """Many in four parts, two at a time; then the table of all."""
    images, output = small_heads(tmp_path / "heads", MANY), tmp_path / "out"

    def predict(number):
        said = tmp_path / f"said{number}"
        own = settings(short_run, images, output, f"part={number}/4", "batch_size=64")
        return watched(begin(server, said, own), said)

    with ThreadPoolExecutor(2) as pool:
        peaks = list(pool.map(predict, range(1, 5)))
    assert all(first > 100 for first, _ in peaks)
    assert all(last - first < 20 for first, last in peaks)
    merge_folder(output, 1)  # what it imports is no matter of the volumes
    tracemalloc.start()
    merged = merge_folder(output, 50)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert (merged.predicted, len(merged.failed), merged.is_complete) == (MANY - 2, 2, True)
    assert peak < 20  # names, and 50 volumes with their pictures
    shutil.rmtree(tmp_path)

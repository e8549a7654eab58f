"""Heads in any orientation, in volumes of twice the extent, beside the same ones upright."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from run_data import cases_of

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.images.reading import read_header, read_voxels
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.runs.folds import is_finished
from pin_lightning.training.run import train
from pose.disturbances import Scan, turned, within
from pose.given import composed, own_settings
from pose.measures import Measured, measured_tests, summary
from pose.tables import number, show

# 40 heads train, 100 test, the same ones in all sets.
HEADS = ["data=phantom", "data.source.num_cases=140", "data.source.size=[65,42,56]"]
HEADS += ["data.source.spacing_mm=[2.5,2.5,2.5]"]
SPLIT = ["data.spacing_mm=2.5", "data.split.val_fraction=0", "data.split.test_fraction=0.7143"]
MODEL = ["preset=fast", "pose=find"]
TWICE = 2.0  # the extent of an upright head's volume


def upright(_: Sequence[str], __: Path) -> list[str]:
    """Heads as they are."""
    return HEADS


def files_turned(settings: Sequence[str], folder: Path) -> list[str]:
    """The same scans as files that somebody turned by any angle, in twice the extent."""
    if not (folder / "done").exists():
        config = composed("train", [*HEADS, *settings], folder)
        turn, put = turned(with_header=False), within(TWICE)
        for number_, case in enumerate(cases_of(config)):
            assert case.read is not None
            generator, landmarks = np.random.default_rng(number_), case.read()
            voxels, affine = read_voxels(case.image), read_header(case.image)[1]
            scan = put(turn(Scan(voxels, affine, landmarks.positions_world), generator), generator)
            (folder / "images").mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(scan.voxels, scan.affine), folder / f"images/{case.name}.nii")
            placed = LandmarkSet.of(landmarks.names, scan.landmarks_world)
            write_landmarks(folder / "landmarks" / f"{case.name}.mrk.json", placed)
        (folder / "done").touch()
    return ["data=folder", f"data.root={folder}"]


def heads_turned(_: Sequence[str], __: Path) -> list[str]:
    """The same heads turned under the probe, whose sector and shadows stay where they are."""
    return [*HEADS, "data.source.turned=true", f"data.source.field={TWICE:g}"]


SETS = {"upright": upright, "files turned": files_turned, "heads turned": heads_turned}


def tested(name: str, settings: Sequence[str], output: Path) -> list[Measured]:
    """Measure the test heads of a set, trained where that is not done."""
    run_dir = output / name.replace(" ", "_")
    if not is_finished(run_dir):
        began = time.perf_counter()
        data = SETS[name](settings, output / "files")
        train(composed("train", [*MODEL, *SPLIT, *data, *settings], run_dir), run_dir)
        logging.info("%s: %.0f s", name, time.perf_counter() - began)
    return measured_tests(run_dir)


def main(given: Sequence[str]) -> None:
    """Train and print."""
    own, settings = own_settings("phantoms", given, {"far_mm": 10.0})
    found = {name: tested(name, settings, own["output"]) for name in SETS}
    summaries = [summary(one, own["far_mm"]) for one in found.values()]
    rows = [(key, *(one[key] for one in summaries)) for key in summaries[0]]
    all_upright = {one.case: one for one in found["upright"]}
    both: list[list[str]] = []
    for one in found.values():
        right = [case for case in one if case.is_right]
        sets = ([all_upright[case.case] for case in right], right)
        means = [float(np.mean([case.errors_mm for case in of])) if of else np.nan for of in sets]
        both.append([number(mean) for mean in means])
    rows.append(("mean error of the heads found right, mm", *(own_ for _, own_ in both)))
    rows.append(("the same heads upright, mm", *(before for before, _ in both)))
    show(own["output"] / "phantoms.md", " ".join(settings), ("", *SETS), rows)

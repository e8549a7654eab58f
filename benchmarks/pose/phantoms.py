"""Heads in any orientation, in volumes of twice the extent, beside the same ones upright."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pin_lightning.runs.folds import is_finished
from pin_lightning.training.run import train
from pose.given import composed, own_settings
from pose.measures import Measured, measured_tests, summary
from pose.tables import number, show

# 40 heads train, 100 test, the same ones in all sets.
DATA = ["data=phantom", "data.source.num_cases=140", "data.source.size=[65,42,56]"]
DATA += ["data.source.spacing_mm=[2.5,2.5,2.5]", "data.spacing_mm=2.5"]
DATA += ["data.split.val_fraction=0", "data.split.test_fraction=0.7143"]
SETS = {
    "upright": [],
    "scans turned": ["data.source.turned=scan", "data.source.field=2"],
    "heads turned": ["data.source.turned=head", "data.source.field=2"],
}
MODEL = ["preset=fast", "pose=find"]


def tested(name: str, settings: Sequence[str], output: Path) -> list[Measured]:
    """Measure the test heads of a set, trained where that is not done."""
    run_dir = output / name.replace(" ", "_")
    if not is_finished(run_dir):
        began = time.perf_counter()
        train(composed("train", [*MODEL, *DATA, *SETS[name], *settings], run_dir), run_dir)
        logging.info("%s: %.0f s", name, time.perf_counter() - began)
    return measured_tests(run_dir)


def main(given: Sequence[str]) -> None:
    """Train and print."""
    own, settings = own_settings("phantoms", given, {"far_mm": 10.0, "sets": list(SETS)})
    found = {name: tested(name, settings, own["output"]) for name in own["sets"]}
    summaries = [summary(one, own["far_mm"]) for one in found.values()]
    rows = [(key, *(one[key] for one in summaries)) for key in summaries[0]]
    if "upright" in found:
        rows += beside_upright(found)
    show(own["output"] / "phantoms.md", " ".join(settings), ("", *found), rows)


def beside_upright(found: Mapping[str, Sequence[Measured]]) -> list[tuple[str, ...]]:
    """Rows: mean errors of the heads whose pose is right, and of the same heads upright."""
    all_upright = {one.case: one for one in found["upright"]}
    own, before = [], []
    for one in found.values():
        right = [case for case in one if case.is_right]
        for cells, of in ((own, right), (before, [all_upright[case.case] for case in right])):
            cells.append(number(float(np.mean([c.errors_mm for c in of])) if of else np.nan))
    own.insert(0, "mean error of the heads found right, mm")
    before.insert(0, "the same heads upright, mm")
    return [tuple(own), tuple(before)]

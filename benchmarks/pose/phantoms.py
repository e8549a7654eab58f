"""Phantoms in any orientation, in volumes of twice the extent, beside the same heads upright."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pin_lightning.runs.folds import is_finished
from pin_lightning.training.run import train
from pose.given import composed, own_settings
from pose.measures import Measured, measured_tests, summary
from pose.tables import number, show

# 40 heads train, 100 test, the same ones in both sets.
DATA = ["data=phantom", "data.spacing_mm=2.5", "data.source.num_cases=140"]
DATA += ["data.source.size=[65,42,56]", "data.source.spacing_mm=[2.5,2.5,2.5]"]
DATA += ["data.split.val_fraction=0", "data.split.test_fraction=0.7143"]
SETS = {
    "upright": ["data.source.turned=false", "data.source.field=1"],
    "turned": ["data.source.turned=true", "data.source.field=2"],
}
MODEL = ["preset=fast", "pose=find"]


def tested(name: str, settings: Sequence[str], output: Path) -> list[Measured]:
    """Measure the test heads of a set, trained where that is not done."""
    run_dir = output / name
    if not is_finished(run_dir):
        began = time.perf_counter()
        train(composed("train", [*MODEL, *DATA, *settings, *SETS[name]], run_dir), run_dir)
        logging.info("%s: %.0f s", name, time.perf_counter() - began)
    return measured_tests(run_dir)


def main(given: Sequence[str]) -> None:
    """Train and print."""
    own, settings = own_settings("phantoms", given, {"far_mm": 10.0})
    found = {name: tested(name, settings, own["output"]) for name in SETS}
    summaries = [summary(one, own["far_mm"]) for one in found.values()]
    rows = [(key, *(one[key] for one in summaries)) for key in summaries[0]]
    upright = {one.case: one for one in found["upright"]}
    right = [one for one in found["turned"] if one.is_right]
    both = [[upright[one.case].errors_mm for one in right], [one.errors_mm for one in right]]
    means = [np.nanmean(one) if one else np.nan for one in both]
    rows.append(("mean error of heads found right when turned, mm", *map(number, means)))
    show(own["output"] / "phantoms.md", " ".join(settings), ("", *SETS), rows)

"""Trained on few cases, the others are predicted: by the pose alone, and with the landmarks."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from run_data import cases_of

from pin_lightning.runs.folds import is_finished
from pin_lightning.training.run import train
from pose.given import composed, own_settings
from pose.measures import Measured, measured_tests
from pose.tables import number, show

HEADER = ("training cases", "draws", "poses right", "mean shape put there, mm", "with landmarks")
HEADER += ("median", "95th percentile", "of each draw")


def drawn(
    number_of_cases: int, draw: int, settings: Sequence[str], run_dir: Path
) -> list[Measured]:
    """Train on some cases drawn at random where that is not done; measure the others."""
    if not is_finished(run_dir):
        config = composed("train", ["preset=fast", *settings], run_dir)
        names = sorted(case.name for case in cases_of(config))
        order = np.random.default_rng([config.seed, draw]).permutation(len(names))
        chosen = [names[index] for index in order]
        lists = {"train_names": chosen[:number_of_cases], "test_names": chosen[number_of_cases:]}
        OmegaConf.update(config, "data.split", {**lists, "val_fraction": 0})
        logging.info(
            "%d cases, draw %d: %s", number_of_cases, draw, ", ".join(lists["train_names"])
        )
        train(config, run_dir)
    return measured_tests(run_dir)


def row(count: int, draws: Sequence[Sequence[Measured]]) -> tuple[str, ...]:
    """Cells of a number of training cases."""
    measured = [one for draw in draws for one in draw]
    errors = np.concatenate([one.errors_mm for one in measured])
    placed = np.concatenate([one.placed_mm for one in measured])
    each = [np.nanmean([one.errors_mm for one in draw]) for draw in draws]
    right = f"{sum(one.is_right for one in measured)} of {len(measured)}"
    cells = (np.nanmean(placed), np.nanmean(errors), np.nanmedian(errors))
    cells += (np.nanpercentile(errors, 95),)
    return (str(count), str(len(draws)), right, *map(number, cells), ", ".join(map(number, each)))


def main(given: Sequence[str]) -> None:
    """Train and print."""
    own, settings = own_settings("few", given, {"counts": [1, 2, 5, 10], "draws": [0, 1, 2]})
    counts, draws = ([1, 2], [0]) if own["small"] else (own["counts"], own["draws"])
    rows = []
    for count in counts:
        folders = {draw: own["output"] / f"{count}_cases_{draw}" for draw in draws}
        found = [drawn(count, draw, settings, run) for draw, run in folders.items()]
        rows.append(row(count, found))
        title = f"preset=fast {' '.join(settings)}"
        show(own["output"] / "few.md", title, HEADER, rows)

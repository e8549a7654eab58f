"""Accuracy of filled-in landmarks, and time: hides known ones of a data set and compares.

``python benchmarks/completion.py data=folder data.root=FOLDER``
"""

import time
from pathlib import Path

import hydra
import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.table import Table

from pin_lightning.cli.conf import CONF
from pin_lightning.common.shown_table import print_table
from pin_lightning.data.inspection import annotate, choose_landmarks, inspect_cases
from pin_lightning.data.preprocessing import suggest_grid
from pin_lightning.method.shape_models.completion import complete_shapes

SHARES = (0.02, 0.1, 0.3)
REPEATS = 10
MANY, MANY_SHARE = 12_000, 0.1  # shapes that are timed, with the share that is hidden


def mean_shape(shapes_mm: np.ndarray) -> np.ndarray:
    """Reference: every missing landmark at its mean over the cases that have it."""
    return np.where(np.isnan(shapes_mm), np.nanmean(shapes_mm, axis=0), shapes_mm)


def errors_mm(shapes_mm: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances of completed and of mean landmarks from those that were hidden."""
    hidden = np.random.default_rng(seed).random(shapes_mm.shape[:2]) < share
    hidden &= ~hidden.all(axis=0) & np.isfinite(shapes_mm).all(axis=2)
    shown = np.where(hidden[..., None], np.nan, shapes_mm)
    guesses = (complete_shapes(shown), mean_shape(shown))
    completed, mean = (np.linalg.norm(one - shapes_mm, axis=2)[hidden] for one in guesses)
    return completed, mean


def seconds_for_many(shapes_mm: np.ndarray) -> float:
    """Processor seconds for as many shapes as the largest data sets have, made from given ones."""
    random = np.random.default_rng(0)
    drawn = shapes_mm[random.integers(len(shapes_mm), size=MANY)]
    drawn = drawn + random.normal(0, 0.01 * np.nanstd(shapes_mm), drawn.shape)
    drawn[random.random(drawn.shape[:2]) < MANY_SHARE] = np.nan
    drawn = drawn[np.isfinite(drawn).any(axis=(1, 2))]
    began = time.process_time()
    complete_shapes(drawn)
    return time.process_time() - began


@hydra.main(config_path=str(CONF), config_name="check", version_base="1.3")
def main(config: DictConfig) -> None:
    """Print one row per share of hidden landmarks."""
    inspected, _ = inspect_cases(instantiate(config.data.source))
    grid = suggest_grid([one.header for one in inspected])
    names = choose_landmarks(inspected)
    cases = [annotate(one, names, grid).landmarks_mm.double().numpy() for one in inspected]
    table = Table(title=f"{len(cases)} cases of {Path(config.data.root).name}, error in mm")
    for header in ("hidden", "filled in", "mean shape"):
        table.add_column(header, justify="right")
    for share in SHARES:
        runs = [errors_mm(np.stack(cases), share, seed) for seed in range(REPEATS)]
        means = [np.concatenate(parts).mean() for parts in zip(*runs, strict=True)]
        table.add_row(f"{share:.0%}", *(f"{mean:.2f}" for mean in means))
    print_table(table)
    print(
        f"{MANY:,} shapes of {len(names)} landmarks, {MANY_SHARE:.0%} hidden: "
        f"{seconds_for_many(np.stack(cases)):.1f} s of processor time"
    )


if __name__ == "__main__":
    main()

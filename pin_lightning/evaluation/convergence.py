"""Convergence of the starts: error, movement and spread by iteration; ``convergence.csv``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float64

from pin_lightning.common.files import write_text
from pin_lightning.common.tables import csv_text, read_rows

# Landmarks of each start before the first and after each iteration, mm.
StartPaths: TypeAlias = Float[np.ndarray, "T1 S L 3"]
_NUMBERS = ("radial_error_mm", "movement_mm", "spread_mm")
CONVERGENCE_COLUMNS = ("split", "case", "iteration", *_NUMBERS)


def start_errors_mm(
    path_mm: StartPaths, truth_mm: Float[np.ndarray, "L 3"]
) -> Float64[np.ndarray, "T1 S"]:
    """Radial error of each start, mean over the landmarks whose true position is known.

    Args:
        path_mm: Landmarks of each start before the first and after each iteration.
        truth_mm: True positions, NaN where undefined.

    Returns:
        Errors in mm, NaN where no true position is known.
    """
    if not np.isfinite(truth_mm).any():
        return np.full(path_mm.shape[:2], np.nan)
    known = np.isfinite(truth_mm).all(axis=-1)
    offsets_mm = path_mm[:, :, known].astype(np.float64) - truth_mm[known]
    return np.linalg.norm(offsets_mm, axis=-1).mean(axis=-1)


def movements_mm(path_mm: StartPaths) -> Float64[np.ndarray, "T1 S"]:
    """Movement of each start in each iteration, mean over the landmarks; NaN before the first.

    >>> movements_mm(np.array([[[[0.0, 0, 0]]], [[[3.0, 4, 0]]], [[[3.0, 4, 1]]]])).ravel()
    array([nan,  5.,  1.])
    """
    moved = np.full(path_mm.shape[:2], np.nan)
    moved[1:] = np.linalg.norm(np.diff(path_mm.astype(np.float64), axis=0), axis=-1).mean(axis=-1)
    return moved


def spreads_mm(path_mm: StartPaths) -> Float64[np.ndarray, " T1"]:
    """Root-mean-square distance of the starts from their mean, mean over the landmarks."""
    path = path_mm.astype(np.float64)
    distances = np.linalg.norm(path - path.mean(axis=1, keepdims=True), axis=-1)
    return np.sqrt((distances**2).mean(axis=1)).mean(axis=-1)


@dataclass(frozen=True, eq=False)
class Convergence:
    """Convergence of the starts of one case, or of N cases, in mm.

    The first value is from before the first iteration, each other from after an iteration.

    Attributes:
        error_mm: Mean radial error of the mean over the starts, which after the last iteration is
            the prediction; NaN where no true position is known.
        movement_mm: Movement in the iteration, mean over starts and landmarks; NaN before the
            first.
        spread_mm: Root-mean-square distance of the starts from their mean, mean over landmarks.
    """

    error_mm: Float64[np.ndarray, "*N T1"]
    movement_mm: Float64[np.ndarray, "*N T1"]
    spread_mm: Float64[np.ndarray, "*N T1"]

    @classmethod
    def of(cls, path_mm: StartPaths, truth_mm: Float[np.ndarray, "L 3"]) -> "Convergence":
        """Compute the convergence of one case; arguments as in `start_errors_mm`."""
        mean_mm = path_mm.mean(axis=1, keepdims=True)
        return cls(
            error_mm=start_errors_mm(mean_mm, truth_mm)[:, 0],
            movement_mm=movements_mm(path_mm).mean(axis=1),
            spread_mm=spreads_mm(path_mm),
        )


def iterates(iterations: int) -> bool:
    """Tell whether paths of so many iterations have a course to be shown: one step has none."""
    return iterations > 1


def join_convergence(cases: Sequence[Convergence]) -> Convergence:
    """Join cases, one a row; those that end earlier keep their last error and spread.

    Raises:
        ValueError: The list is empty.
    """
    if not cases:
        raise ValueError("cases: there is none to join; give at least one")
    more = [max(len(one.spread_mm) for one in cases) - len(one.spread_mm) for one in cases]
    pairs = list(zip(cases, more, strict=True))
    return Convergence(
        error_mm=np.stack([np.pad(one.error_mm, (0, by), mode="edge") for one, by in pairs]),
        movement_mm=np.stack([np.pad(one.movement_mm, (0, by)) for one, by in pairs]),
        spread_mm=np.stack([np.pad(one.spread_mm, (0, by), mode="edge") for one, by in pairs]),
    )


def evenly_spaced(iterations: int, most: int) -> list[int]:
    """Choose at most ``most`` of the iterations 0 to ``iterations``, with the first and the last.

    >>> evenly_spaced(10, 4)
    [0, 3, 7, 10]
    >>> evenly_spaced(2, 4)
    [0, 1, 2]
    """
    places = np.linspace(0, iterations, min(iterations + 1, most))
    return [int(place) for place in places.round()]


def write_convergence(path: str | Path, splits: Mapping[str, Mapping[str, Convergence]]) -> None:
    """Write one CSV row per split, case and iteration; the file appears only when complete.

    Iteration 0 is before the first. A cell is empty where its value is undefined.
    """
    write_text(Path(path), csv_text([CONVERGENCE_COLUMNS, *_rows(splits)]))


def _rows(splits: Mapping[str, Mapping[str, Convergence]]) -> Iterator[list[object]]:
    for split, cases in splits.items():
        for case, one in cases.items():
            columns = zip(one.error_mm, one.movement_mm, one.spread_mm, strict=True)
            for iteration, numbers in enumerate(columns):
                yield [split, case, iteration, *map(_cell, numbers)]


def read_convergence(path: str | Path) -> dict[str, dict[str, Convergence]]:
    """Read a file of `write_convergence`, by the name of the split and of the case.

    Raises:
        ValueError: The file lacks a column, or a cell is not a number.
    """
    splits: dict[str, dict[str, list[list[float]]]] = {}
    for row in read_rows(path, CONVERGENCE_COLUMNS, _NUMBERS):
        numbers = [row[name] for name in _NUMBERS]
        splits.setdefault(row["split"], {}).setdefault(row["case"], []).append(numbers)
    return {
        split: {case: Convergence(*np.array(numbers).T) for case, numbers in cases.items()}
        for split, cases in splits.items()
    }


def _cell(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""  # enough to draw, and the file is small

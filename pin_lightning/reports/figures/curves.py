"""Training curves as they were logged, and how they are smoothed."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float


def running_mean(values: Float[np.ndarray, " N"], half: int) -> Float[np.ndarray, " N"]:
    """Mean of each value and up to ``half`` neighbours on each side, fewer at the ends.

    >>> running_mean(np.array([0.0, 3.0, 6.0, 0.0]), 1).tolist()
    [1.5, 3.0, 3.0, 3.0]

    Args:
        values: Evenly spaced values.
        half: Neighbours on each side, at least 0.
    """
    window = np.ones(2 * half + 1)
    inside = slice(half, half + len(values))
    return np.convolve(values, window)[inside] / np.convolve(np.ones_like(values), window)[inside]


def read_curves(path: str | Path, names: Sequence[str]) -> dict[str, Float[np.ndarray, "N 2"]]:
    """Training curves from the ``metrics.csv`` of Lightning's CSV logger, whose rows have gaps.

    Args:
        path: The CSV file, with a column ``step``.
        names: Columns to read.

    Returns:
        Steps and finite values of each column that has any.

    Raises:
        ValueError: No column has a value at a step, or a cell is not a number.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("step")]
    curves = {}
    for name in names:
        try:
            cells = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
        except ValueError as error:
            raise ValueError(f"{path}: column {name}: {error}; mend or delete that row") from error
        points = np.array(cells).reshape(-1, 2)
        curves[name] = points[np.isfinite(points).all(axis=1)]
    curves = {name: curve for name, curve in curves.items() if len(curve)}
    if not curves:
        raise ValueError(f"{path}: has no training curve; give a metrics.csv of the CSV logger")
    return curves

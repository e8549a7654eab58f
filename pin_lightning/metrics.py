"""Radial error, how far predicted landmarks lie from the true ones, and logged training curves."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torchmetrics import Metric

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def radial_errors(
    predicted: Float[Array, "... L 3"],
    truth: Float[Array, "... L 3"],
    defined: Bool[Array, "... L"],
) -> Float[Array, "... L"]:
    """Distance of each predicted landmark from the true one (paper, "Localisation error").

    >>> radial_errors(np.array([[3.0, 4.0, 0.0]]), np.zeros((1, 3)), np.array([True])).tolist()
    [5.0]

    Args:
        predicted: Positions in mm, in any one frame.
        truth: Positions in mm, in the same frame; any value, NaN too, where undefined.
        defined: Which landmarks have a true position.

    Returns:
        Errors in mm, NaN where undefined.

    Raises:
        ValueError: The shapes differ.
    """
    if predicted.shape != truth.shape or predicted.shape[:-1] != defined.shape:
        raise ValueError(
            f"radial_errors: predicted {tuple(predicted.shape)}, truth {tuple(truth.shape)} and "
            f"defined {tuple(defined.shape)} differ; give [..., L, 3] twice and [..., L]"
        )
    errors = ((predicted - truth) ** 2).sum(-1) ** 0.5
    errors[~defined] = np.nan
    return errors


def summarise(errors: Float[np.ndarray, "..."]) -> dict[str, float | int]:
    """Mean, standard deviation, median and number of the finite errors.

    >>> summarise(np.array([1.0, 3.0, np.nan]))
    {'mean': 2.0, 'sd': 1.4142135623730951, 'median': 2.0, 'n': 2}

    Args:
        errors: Errors in mm of any shape, NaN where undefined.

    Returns:
        ``mean``, ``sd`` (of the sample, n - 1; 0 for one error), ``median`` in mm, and ``n``.

    Raises:
        ValueError: No error is finite.
    """
    finite = _finite(errors)
    return {
        "mean": float(finite.mean()),
        "sd": float(finite.std(ddof=1)) if finite.size > 1 else 0.0,
        "median": float(np.median(finite)),
        "n": int(finite.size),
    }


def success_rates(errors: Float[np.ndarray, "..."], radii_mm: Sequence[float]) -> list[float]:
    """Fraction of the finite errors that are at most each radius.

    >>> success_rates(np.array([0.5, 2.0, 3.0, np.nan]), [2.0, 4.0])
    [0.6666666666666666, 1.0]

    Args:
        errors: Errors in mm of any shape, NaN where undefined.
        radii_mm: Radii in mm, not negative.

    Returns:
        One fraction in [0, 1] for each radius.

    Raises:
        ValueError: No error is finite, or a radius is negative or NaN.
    """
    for radius_mm in radii_mm:
        if not radius_mm >= 0:
            raise ValueError(f"radii_mm: {radius_mm} is not a radius; give a number of at least 0")
    finite = _finite(errors)
    return [float((finite <= radius_mm).mean()) for radius_mm in radii_mm]


def _finite(errors: Float[np.ndarray, "..."]) -> Float[np.ndarray, " N"]:
    """The finite errors in double precision, whatever precision they came in."""
    finite = errors[np.isfinite(errors)].astype(np.float64)
    if finite.size == 0:
        raise ValueError(
            f"errors: none of {errors.size} is finite; give at least one defined landmark"
        )
    return finite


class MeanRadialError(Metric):
    """Mean radial error in mm over all defined landmarks of all cases, however batched.

    A prediction that is not finite makes the mean not finite: a diverged network must show.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    sum_mm: torch.Tensor
    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sum_mm", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        predicted: Float[torch.Tensor, "B L 3"],
        truth: Float[torch.Tensor, "B L 3"],
        defined: Bool[torch.Tensor, "B L"],
    ) -> None:
        """Add a batch.

        Args:
            predicted: Positions in mm, in any one frame.
            truth: Positions in mm, in the same frame; any value, NaN too, where undefined.
            defined: Which landmarks have a true position.
        """
        errors_mm = radial_errors(predicted.float(), truth.float(), defined)
        self.sum_mm = self.sum_mm + errors_mm[defined].sum()
        self.count = self.count + defined.sum()

    def compute(self) -> Float[torch.Tensor, ""]:
        """Mean radial error in mm; NaN before the first defined landmark."""
        return self.sum_mm / self.count


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

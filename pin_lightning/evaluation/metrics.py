"""Radial errors and their statistics: over all, for each landmark or for each case."""

from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

Array = TypeVar("Array", np.ndarray, torch.Tensor)
Errors: TypeAlias = Float[np.ndarray, "N L"]  # mm, NaN where undefined
Numbers: TypeAlias = Float64[np.ndarray, "*G"]
# Groups: all errors, those of each landmark (column) or those of each case (row).
Per: TypeAlias = Literal["all", "landmark", "case"]


def radial_errors(
    predicted: Float[Array, "... L 3"],
    truth: Float[Array, "... L 3"],
    defined: Bool[Array, "... L"],
) -> Float[Array, "... L"]:
    """Distance of each predicted landmark from its true position (paper, "Localisation error").

    >>> radial_errors(np.array([[3.0, 4.0, 0.0]]), np.zeros((1, 3)), np.array([True])).tolist()
    [5.0]

    Args:
        predicted: Positions in mm, in any one frame.
        truth: Positions in mm, in the same frame; any value, also NaN, where undefined.
        defined: True where a landmark has a true position.

    Returns:
        Errors in mm, NaN where undefined; infinite for a prediction that is not finite, so that a
        diverged network shows.

    Raises:
        ValueError: The shapes differ.
    """
    if predicted.shape != truth.shape or predicted.shape[:-1] != defined.shape:
        raise ValueError(
            f"radial_errors: predicted {tuple(predicted.shape)}, truth {tuple(truth.shape)} and "
            f"defined {tuple(defined.shape)} differ; give [..., L, 3] twice and [..., L]"
        )
    errors = ((predicted - truth) ** 2).sum(-1) ** 0.5
    errors[errors != errors] = np.inf  # only NaN differs from itself
    errors[~defined] = np.nan
    return errors


def mean_error(errors: Errors, per: Per = "all") -> Numbers:
    """Mean radial error over defined landmarks.

    >>> mean_error(np.array([[1.0, 3.0], [2.0, np.nan]]), "landmark").tolist()
    [1.5, 3.0]

    Args:
        errors: Errors in mm of each case and landmark, NaN where undefined.
        per: Groups to average over.

    Returns:
        One number in mm, one for each landmark [L] or one for each case [N]; NaN where nothing is
        defined.
    """
    return _reduce(errors, per, np.mean)


def error_sd(errors: Errors, per: Per = "all") -> Numbers:
    """Sample standard deviation (n - 1) by group as in `mean_error`; 0 for a single error.

    >>> float(error_sd(np.array([[1.0, 3.0], [5.0, np.nan]])))
    2.0
    """
    return _reduce(errors, per, lambda known: known.std(ddof=1) if known.size > 1 else 0.0)


def error_quantile(errors: Errors, share: float, per: Per = "all") -> Numbers:
    """Quantile of the errors at a share in [0, 1], linear between neighbours, as in `mean_error`.

    >>> error_quantile(np.array([[1.0, 2.0], [3.0, np.nan]]), 0.5, "case").tolist()
    [1.5, 3.0]

    Raises:
        ValueError: The share is outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: give a number between 0 and 1, as 0.5 for the median")
    return _reduce(errors, per, lambda known: _quantile(known, share))


def _quantile(known: Float64[np.ndarray, " M"], share: float) -> float:
    """As `np.quantile`, which gives NaN next to infinity."""
    place = share * (known.size - 1)
    low, high = np.sort(known)[[int(np.floor(place)), int(np.ceil(place))]]
    return float(low if low == high else low + (high - low) * (place - np.floor(place)))


def success_rate(errors: Errors, radius_mm: float, per: Per = "all") -> Numbers:
    """Success detection rate: share of the landmarks that lie within a radius of the truth.

    >>> success_rate(np.array([[0.5, 2.0], [3.0, np.nan]]), 2.0, "landmark").tolist()
    [0.5, 1.0]

    Args:
        errors: Errors in mm of each case and landmark, NaN where undefined.
        radius_mm: Radius in mm, not negative; an error equal to it is a success.
        per: Groups, as in `mean_error`.

    Raises:
        ValueError: The radius is negative or NaN.
    """
    return mean_error(within(errors, radius_mm), per)


def within(errors: Errors, radius_mm: float) -> Float64[np.ndarray, "N L"]:
    """1 where an error is at most a radius, else 0; NaN where undefined.

    Raises:
        ValueError: The radius is negative or NaN.
    """
    if not radius_mm >= 0:
        raise ValueError(f"radius_mm={radius_mm}: is not a radius; give a number of at least 0")
    return np.where(np.isnan(errors), np.nan, errors <= radius_mm)


def _reduce(errors: Errors, per: Per, statistic: Callable[[np.ndarray], float]) -> Numbers:
    """Statistic of the defined errors of each group, in double precision."""
    errors = errors.astype(np.float64)
    groups = {"all": errors.reshape(1, -1), "landmark": errors.T, "case": errors}[per]
    known = [group[~np.isnan(group)] for group in groups]
    values = np.array([float(statistic(one)) if one.size else np.nan for one in known])
    return values.reshape(()) if per == "all" else values


def summary_of(errors: Float64[np.ndarray, "N L"]) -> dict[str, float | None]:
    """Mean, SD, median and 95th percentile of all values but NaN, safe for JSON."""
    return {
        "mean": json_safe(mean_error(errors)),
        "sd": json_safe(error_sd(errors)),
        "median": json_safe(error_quantile(errors, 0.5)),
        "p95": json_safe(error_quantile(errors, 0.95)),
    }


def json_safe(value: float | np.ndarray) -> float | None:
    """Convert to a number that JSON can hold: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None

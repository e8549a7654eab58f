"""Statistics of shapes that a few wrong cases do not change, NaN where a landmark is missing."""

import numpy as np
from jaxtyping import Float64

ROBUST_SDS = 6  # beyond the median: not by chance even among a thousand cases


def robust_sd(values: Float64[np.ndarray, "M ..."]) -> Float64[np.ndarray, "..."]:
    """Estimate the standard deviation over rows from the median absolute deviation, ignoring NaN.

    >>> float(robust_sd(np.array([1.0, 2.0, 3.0, 99.0, np.nan])))
    1.4826
    """
    deviations = np.abs(values - np.nanmedian(values, axis=0))
    return np.asarray(1.4826 * np.nanmedian(deviations, axis=0))


def usual(values: Float64[np.ndarray, "..."]) -> tuple[float, float]:
    """Median without NaN, and the limit of chance deviations; infinite where all are NaN.

    >>> usual(np.array([1.0, 2.0, 3.0]))
    (2.0, 10.8956)
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return np.inf, np.inf
    median = float(np.median(known))
    return median, median + ROBUST_SDS * float(robust_sd(known))


def median_known(values: Float64[np.ndarray, "M ..."]) -> Float64[np.ndarray, "..."]:
    """Median over rows without NaN, and NaN (without a warning) where all are NaN.

    >>> median_known(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]))
    array([ 2., nan])
    """
    return others_median(np.concatenate([np.full_like(values[:1], np.nan), values]))[0]


def others_median(values: Float64[np.ndarray, "M ..."]) -> Float64[np.ndarray, "M ..."]:
    """Median over all other rows, for each row, ignoring NaN.

    >>> others_median(np.array([[1.0], [2.0], [9.0], [np.nan]])).ravel()
    array([5.5, 5. , 1.5, 2. ])
    """
    order = np.sort(values, axis=0)
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0, kind="stable")
    known = np.isfinite(values)
    count = known.sum(axis=0) - known
    middle = []
    for place in ((count - 1) // 2, count // 2):
        skipping = place + (place >= ranks)  # the row itself is not one of the others
        middle.append(np.take_along_axis(order, np.clip(skipping, 0, len(values) - 1), axis=0))
    return np.where(count > 0, (middle[0] + middle[1]) / 2, np.nan)


def rms(offsets_mm: Float64[np.ndarray, "M L 3"]) -> Float64[np.ndarray, " M"]:
    """Root mean square distance over the known landmarks of each case; NaN if it has none."""
    squares = (offsets_mm**2).sum(axis=2)
    count = np.isfinite(squares).sum(axis=1)
    return np.sqrt(np.where(count > 0, np.nansum(squares, axis=1) / np.maximum(count, 1), np.nan))

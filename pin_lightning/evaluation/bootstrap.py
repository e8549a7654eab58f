"""Bootstrap intervals over cases: all landmarks of a case are drawn together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.special import ndtr, ndtri

from pin_lightning.common.settings import check_count, is_number

FEW_CASES = 10  # with fewer, intervals are too narrow
MOST_LEFT_OUT = 500  # jackknife groups, for the skew
MOST_DRAWN = 1_000_000  # cases drawn at a time, so that memory stays bounded
Statistic: TypeAlias = Callable[[np.ndarray], float]
Numbers: TypeAlias = Float64[np.ndarray, " R"]


def cluster_interval(
    values: Float64[np.ndarray, "N L"],
    statistic: Statistic,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, float]:
    """BCa bootstrap interval, over cases, of a statistic of all finite values.

    Errors within a case are correlated (a bad scan, a start gone astray): drawing landmarks one by
    one would give too narrow an interval. BCa corrects for bias and skew (Efron, Better Bootstrap
    Confidence Intervals, 1987); where all resamples agree, the interval is that one value. With
    fewer than about ten cases, bootstrap intervals are too narrow, whatever the method.

    Args:
        values: One row per case, NaN where a case has no value.
        statistic: Number of a vector of finite values.
        generator: Source of the draws.
        level: Confidence level.
        resamples: Number of draws of N cases.

    Returns:
        Lower and upper end; NaN twice when there are fewer than two cases with a value.
    """
    finite = np.isfinite(values)
    rows = np.flatnonzero(finite.any(axis=1))
    if len(rows) < 2:
        return float("nan"), float("nan")
    values, finite = values[rows], finite[rows]
    every = np.arange(len(rows))
    most = max(1, MOST_DRAWN // len(rows))
    sizes = [min(most, resamples - begun) for begun in range(0, resamples, most)]
    draws = (generator.integers(len(rows), size=(size, len(rows))) for size in sizes)
    drawn = np.concatenate([_statistics(values, finite, statistic, one) for one in draws])
    # Of many cases, several are left out at a time: the skew comes out the same.
    groups = np.array_split(every, min(len(rows), MOST_LEFT_OUT))
    without = (np.delete(every, group)[None] for group in groups)
    left_out = np.concatenate([_statistics(values, finite, statistic, one) for one in without])
    estimate = _statistics(values, finite, statistic, every[None])[0]
    low, high = _bca_shares(estimate, drawn, left_out, level)
    return float(np.quantile(drawn, low)), float(np.quantile(drawn, high))


def _statistics(
    values: Float64[np.ndarray, "N L"],
    finite: Bool[np.ndarray, "N L"],
    statistic: Statistic,
    draws: Int[np.ndarray, "R M"],
) -> Numbers:
    if statistic is np.mean:  # from sums over cases: 40 times as fast
        sums, counts = np.where(finite, values, 0).sum(axis=1), finite.sum(axis=1)
        return sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    return np.array([float(statistic(values[rows][finite[rows]])) for rows in draws])


def _bca_shares(
    estimate: float, drawn: Numbers, left_out: Float64[np.ndarray, " N"], level: float
) -> tuple[float, float]:
    """Quantiles of the drawn statistics at which the interval ends."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    below = ((drawn < estimate).mean() + (drawn <= estimate).mean()) / 2
    if not 0 < below < 1:  # the estimate is the smallest or largest of all: no correction
        return float(tails[0]), float(tails[1])
    deviations = left_out.mean() - left_out
    squares = (deviations**2).sum()
    skew = (deviations**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0
    bias = ndtri(below)
    shifted = bias + ndtri(tails)
    low, high = ndtr(bias + shifted / (1 - skew * shifted))
    return float(low), float(high)


@dataclass(frozen=True)
class BootstrapSettings:
    """Settings of `cluster_interval`.

    Attributes:
        level: Confidence level.
        resamples: Number of draws.
        seed: Seed of the draws.

    Raises:
        ValueError: A setting is out of range.
    """

    level: float = 0.95
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not is_number(self.level) or not 0 < self.level < 1:
            raise ValueError(
                f"report.bootstrap.level={self.level}: give a number between 0 and 1, as 0.95"
            )
        check_count("report.bootstrap.resamples", self.resamples, least=100)
        check_count("report.bootstrap.seed", self.seed, least=0)

    def interval(
        self, values: Float64[np.ndarray, "N L"], statistic: Statistic
    ) -> list[float] | None:
        """Interval by the draws of the seed, for JSON; None with fewer than two cases."""
        generator = np.random.default_rng(self.seed)
        ends = cluster_interval(values, statistic, generator, self.level, self.resamples)
        return list(ends) if np.isfinite(ends).all() else None

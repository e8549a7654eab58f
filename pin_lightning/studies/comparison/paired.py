"""Paired comparison of two runs on the same cases: differences, intervals and tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64
from scipy import stats

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.metrics import error_quantile, mean_error, within
from pin_lightning.evaluation.summary import success_key

Errors: TypeAlias = Float64[np.ndarray, "N L"]
Ends: TypeAlias = Sequence[float]  # lower and upper
RESAMPLES = 9999  # of the permutation test, which is exact for up to 13 cases


@dataclass(frozen=True)
class Difference:
    """A number of two runs, A and B, on the same cases.

    Attributes:
        a: Number of run A.
        b: Number of run B.
        interval: Bootstrap interval of B - A over cases; None with fewer than two cases.
    """

    a: float
    b: float
    interval: Ends | None

    @property
    def difference(self) -> float:
        """B - A."""
        return self.b - self.a


@dataclass(frozen=True)
class LandmarkDifference(Difference):
    """Mean radial error of a landmark in two runs.

    Attributes:
        n: Number of cases that have the landmark.
        simultaneous: Interval at the level that holds for all landmarks at once.
    """

    n: int
    simultaneous: Ends | None

    @property
    def told_apart(self) -> bool:
        """True if the runs differ on this landmark, corrected for the number of landmarks."""
        return self.simultaneous is not None and _excludes_zero(self.simultaneous)


@dataclass(frozen=True)
class Comparison:
    """Numbers of two runs, A and B, on the same cases.

    Attributes:
        num_cases: Cases with any error.
        level: Confidence level of the intervals.
        numbers: ``mean``, ``median``, ``p95`` in mm, and the success rates as in `metrics_of`.
        landmarks: Differences of each landmark that any case has, largest first.
        better_share: Share of the cases whose mean error is smaller in B; a tie counts half.
        p_value: p-value of the sign-flip test of the cases' mean errors; None for a single case.
    """

    num_cases: int
    level: float
    numbers: Mapping[str, Difference]
    landmarks: Mapping[str, LandmarkDifference]
    better_share: float
    p_value: float | None

    @property
    def told_apart(self) -> bool:
        """True if the mean errors differ by both interval and test."""
        interval = self.numbers["mean"].interval
        if interval is None or self.p_value is None:
            return False
        return _excludes_zero(interval) and self.p_value <= 1 - self.level


def compare(
    a_mm: Errors,
    b_mm: Errors,
    names: Sequence[str],
    radii_mm: Sequence[float],
    bootstrap: BootstrapSettings,
) -> Comparison:
    """Compare the errors of two runs on the same cases and landmarks.

    Args:
        a_mm: Errors of run A in mm, NaN where undefined.
        b_mm: Errors of run B, NaN where those of A are.
        names: Landmark names.
        radii_mm: Radii of the success rates, in mm.
        bootstrap: Settings of the intervals.

    Raises:
        ValueError: Other errors are undefined in one run, or none is defined.
    """
    if (np.isnan(a_mm) != np.isnan(b_mm)).any() or np.isnan(a_mm).all():
        raise ValueError("a_mm, b_mm: give errors of the same landmarks, at least one")
    means = mean_error(b_mm, "case") - mean_error(a_mm, "case")
    gain_mm = -means[np.isfinite(means)]
    return Comparison(
        num_cases=len(gain_mm),
        level=bootstrap.level,
        numbers=_numbers(a_mm, b_mm, radii_mm, bootstrap),
        landmarks=_landmarks(a_mm, b_mm, names, bootstrap),
        better_share=float(((gain_mm > 0).mean() + (gain_mm >= 0).mean()) / 2),
        p_value=sign_flip_p_value(gain_mm, bootstrap.seed),
    )


def _numbers(
    a_mm: Errors, b_mm: Errors, radii_mm: Sequence[float], bootstrap: BootstrapSettings
) -> dict[str, Difference]:
    numbers = {"mean": _mean(a_mm, b_mm, bootstrap)}
    for key, share in (("median", 0.5), ("p95", 0.95)):
        a, b = (float(error_quantile(errors, share)) for errors in (a_mm, b_mm))
        numbers[key] = Difference(a, b, _quantile_interval(a_mm, b_mm, share, bootstrap))
    for radius in radii_mm:
        numbers[success_key(radius)] = _mean(within(a_mm, radius), within(b_mm, radius), bootstrap)
    return numbers


def _mean(a: Errors, b: Errors, bootstrap: BootstrapSettings) -> Difference:
    interval = bootstrap.interval(b - a, np.mean)
    return Difference(float(mean_error(a)), float(mean_error(b)), interval)


def _quantile_interval(
    a_mm: Errors, b_mm: Errors, share: float, bootstrap: BootstrapSettings
) -> Ends | None:
    """Interval of the difference of quantiles, by draws of cases in pairs."""
    pairs = np.stack([a_mm, b_mm], axis=-1).reshape(len(a_mm), -1)

    def difference(flat: np.ndarray) -> float:
        return float(np.quantile(flat[1::2], share) - np.quantile(flat[::2], share))

    return bootstrap.interval(pairs, difference)


def _landmarks(
    a_mm: Errors, b_mm: Errors, names: Sequence[str], bootstrap: BootstrapSettings
) -> dict[str, LandmarkDifference]:
    counts = np.isfinite(a_mm).sum(axis=0)
    known = np.flatnonzero(counts)
    level = 1 - (1 - bootstrap.level) / len(known)  # Bonferroni
    found = {}
    for index in map(int, known):
        a, b = a_mm[:, [index]], b_mm[:, [index]]
        mean, difference = _mean(a, b, bootstrap), (b - a)[np.isfinite(a)]
        found[names[index]] = LandmarkDifference(
            mean.a, mean.b, mean.interval, int(counts[index]), paired_interval(difference, level)
        )
    return dict(sorted(found.items(), key=lambda item: -abs(item[1].difference)))


def paired_interval(difference: Float64[np.ndarray, " N"], level: float) -> Ends | None:
    """Student's interval of the mean of paired differences; None for a single case.

    At the high levels that many landmarks need, a bootstrap of few cases has too few draws.
    """
    count = len(difference)
    if count < 2:
        return None
    error = difference.std(ddof=1) / count**0.5
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * error)
    return float(difference.mean()) - half, float(difference.mean()) + half


def sign_flip_p_value(difference: Float64[np.ndarray, " N"], seed: int) -> float | None:
    """Two-sided p-value of the sign-flip test of paired differences; None for a single case.

    Args:
        difference: Differences, one for each case.
        seed: Seed of the draws, made if there are too many cases for all flips.
    """
    if len(difference) < 2:
        return None
    tested = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",  # of one sample: flips of signs
        vectorized=True,
        n_resamples=RESAMPLES,
        random_state=np.random.default_rng(seed),
    )
    return float(tested.pvalue)


def _excludes_zero(interval: Ends) -> bool:
    return interval[0] > 0 or interval[1] < 0

"""Two runs on the same cases: how much closer one is, and whether that can be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.metrics import error_quantile, mean_error, within
from pin_lightning.evaluation.summary import success_key

Errors = Float64[np.ndarray, "N L"]
Ends = tuple[float, float]
RESAMPLES = 9999  # of the permutation test; up to 13 cases it is exact


@dataclass(frozen=True)
class Difference:
    """A number of two runs, A and B, on the same cases.

    Attributes:
        a: Of run A.
        b: Of run B.
        interval: Of B - A, by the bootstrap over cases; none where fewer than two cases have it.
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
        n: Number of cases that have it.
        simultaneous: Interval that is wide enough to hold for all landmarks at once.
    """

    n: int
    simultaneous: Ends | None

    @property
    def told_apart(self) -> bool:
        """Whether the runs differ on this landmark, however many others were looked at."""
        return self.simultaneous is not None and _excludes_zero(self.simultaneous)


@dataclass(frozen=True)
class Comparison:
    """What two runs, A and B, come to on the same cases.

    Attributes:
        num_cases: Cases with any error.
        level: Confidence level of the intervals.
        numbers: ``mean``, ``median``, ``p95`` in mm, and the success rates as in `metrics_of`.
        landmarks: Of each landmark that any case has, largest difference first.
        better_share: Share of the cases whose mean error is less in B; a tie counts half.
        p_value: Of the sign-flip test of the cases' mean errors; none for a single case.
    """

    num_cases: int
    level: float
    numbers: Mapping[str, Difference]
    landmarks: Mapping[str, LandmarkDifference]
    better_share: float
    p_value: float | None

    @property
    def told_apart(self) -> bool:
        """Whether interval and test both say that the mean errors differ."""
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
        bootstrap: How intervals are made.

    Raises:
        ValueError: The runs differ in what is undefined, or nothing is defined.
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
    interval = _ends(bootstrap.interval(b - a, np.mean))
    return Difference(float(mean_error(a)), float(mean_error(b)), interval)


def _quantile_interval(
    a_mm: Errors, b_mm: Errors, share: float, bootstrap: BootstrapSettings
) -> Ends | None:
    """Both errors of a landmark stay together when cases are drawn."""
    pairs = np.stack([a_mm, b_mm], axis=-1).reshape(len(a_mm), -1)

    def difference(flat: np.ndarray) -> float:
        return float(np.quantile(flat[1::2], share) - np.quantile(flat[::2], share))

    return _ends(bootstrap.interval(pairs, difference))


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
    """Student's interval of the mean of paired differences, one for each case.

    At the levels that many landmarks need, a bootstrap of few cases has no draws.

    Args:
        difference: Differences, at least one.
        level: Confidence level.

    Returns:
        Lower and upper end; none for a single case.
    """
    count = len(difference)
    if count < 2:
        return None
    error = difference.std(ddof=1) / count**0.5
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * error)
    return float(difference.mean()) - half, float(difference.mean()) + half


def sign_flip_p_value(difference: Float64[np.ndarray, " N"], seed: int) -> float | None:
    """Two-sided p-value of paired differences whose signs would be as good as drawn by a coin.

    Args:
        difference: Differences, one for each case, at least one.
        seed: Of the draws, where there are too many cases for all flips.

    Returns:
        In (0, 1]; none for a single case.
    """
    if len(difference) < 2:
        return None
    tested = stats.permutation_test(
        (difference, np.zeros_like(difference)),  # a flipped sign is an exchange of the two
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        random_state=np.random.default_rng(seed),
    )
    return float(tested.pvalue)


def _ends(interval: Sequence[float] | None) -> Ends | None:
    return None if interval is None else (interval[0], interval[1])


def _excludes_zero(interval: Ends) -> bool:
    return interval[0] > 0 or interval[1] < 0

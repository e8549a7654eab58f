"""Conformal radii: a distance in mm around each landmark that is to hold a share of the truths.

A radius is a factor times a scale. The scale is the usual error of the landmark, or the spread of
this prediction where that is larger. The factor is a quantile of the errors of cases that the
predicting network did not see, in units of their scales.

Landmarks of one case are not independent, so each of n cases has the weight 1 / (n + 1), shared by
its landmarks, and the rest is the new case's, whose error may be anything (Dunn, Wasserman and
Ramdas, Distribution-Free Prediction Sets for Two-Layer Hierarchical Models, 2022; Lee, Barber and
Willett, Distribution-free inference with hierarchical data, 2023). That covers at least as often as
asked whatever the dependence, and with 20 cases of 45 hardly dependent landmarks 94.5 % where 90 %
are asked. So n is replaced in that rest by the effective number of cases: landmarks divided by
Kish's design effect, which their intraclass correlation gives (Kish, Survey Sampling, 1965).

What holds: the share asked for is approximate and no bound. It is an average over new cases of the
kind that the radii were fitted on, and over landmarks; a single case, or a single landmark where
all share a factor, may be covered less often. The theorem above would make it a bound; it does not
apply, since

- the effective number is estimated. With one landmark, with ``pooled=False``, or where all of a
  case are missed together, it is n itself. For 9 to 40 simulated cases of 2 to 45 landmarks, from
  independent ones to copies of one, coverage was 89 to 95 % where 90 % were asked.
- scales are fitted on the same cases, of each without its own errors but with those of the others.
- errors are those of single folds, with the spread over their starts. A mean over folds errs less
  as a rule, and its spread over folds is added: it is covered more often than asked.

`leave_one_case_out` therefore says how often radii did hold, and every report shows that number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from pin_lightning.common.settings import check_flag, is_number

# So many cases' worth of all landmarks is added to the errors of each landmark.
_SHARED_CASES = 3
_LEAST_SCALE_MM = 1e-6
PerCase: TypeAlias = Float64[np.ndarray, "N L"]
PerLandmark: TypeAlias = Float64[np.ndarray, " L"]


@dataclass(frozen=True)
class ConformalSettings:
    """Settings of the radii.

    Attributes:
        coverage: Share of the landmarks of a new case that are to lie within their radius.
        spread_weight: Weight of the spread before it is compared with the usual error.
        pooled: One factor for all landmarks; else one each, from its errors alone.

    Raises:
        ValueError: A setting is out of range.
    """

    coverage: float = 0.9
    spread_weight: float = 1.0
    pooled: bool = True

    def __post_init__(self) -> None:
        if not (is_number(self.coverage) and 0 < self.coverage < 1):
            raise ValueError(
                f"calibration.coverage={self.coverage}: give a number between 0 and 1, as 0.9; "
                f"null makes no error bars"
            )
        if not (is_number(self.spread_weight) and self.spread_weight >= 0):
            raise ValueError(
                f"calibration.spread_weight={self.spread_weight}: give a number of at least 0"
            )
        check_flag("calibration.pooled", self.pooled)

    @property
    def fewest_cases(self) -> int:
        """Cases that the coverage needs: 9 for 0.9, 19 for 0.95."""
        return max(1, math.ceil(self.coverage / (1 - self.coverage) - 1e-9))

    def check_cases(self, known: Bool[np.ndarray, "N L"], names: Sequence[str]) -> None:
        """Check that there are enough cases for the coverage.

        Args:
            known: True where an error is known.
            names: Landmark names.

        Raises:
            ValueError: With so few cases, no finite radius has that coverage.
        """
        self._check_count(int(known.any(axis=1).sum()), "")
        if not self.pooled:
            for name, count in zip(names, known.sum(axis=0), strict=True):
                self._check_count(int(count), f" with {name} (calibration.pooled=false)")

    def _check_count(self, count: int, what: str) -> None:
        if count < self.fewest_cases:
            most = math.floor(100 * count / (count + 1)) / 100
            raise ValueError(
                f"calibration.coverage={self.coverage}: needs at least {self.fewest_cases} "
                f"cases{what}, there are {count}; give at most {most:g}, or null for no "
                f"error bars"
            )


@dataclass(frozen=True, eq=False)
class Calibration:
    """Fitted radii.

    Attributes:
        settings: How they were fitted.
        names: Landmarks, in the order of the arrays.
        num_cases: Cases they were fitted on.
        usual_error_mm: Error to expect of each landmark when there is no spread.
        factor: Quantile of the errors in units of their scales; the same for all when pooled.
        median_radius_mm: Median radius of each landmark among the cases it was fitted on.
    """

    settings: ConformalSettings
    names: tuple[str, ...]
    num_cases: int
    usual_error_mm: PerLandmark
    factor: PerLandmark
    median_radius_mm: PerLandmark

    def radius_mm(self, spread_mm: Float64[np.ndarray, "*N L"]) -> Float64[np.ndarray, "*N L"]:
        """Radius that holds the true landmark about as often as the settings ask.

        Args:
            spread_mm: Spread of a prediction over starts, or over starts and folds.
        """
        return self.factor * _scale_mm(self.usual_error_mm, spread_mm, self.settings)

    def for_review(
        self, radius_mm: PerLandmark, above_mm: float | None = None
    ) -> Bool[np.ndarray, " L"]:
        """Select the landmarks that a person should look at.

        Args:
            radius_mm: From `radius_mm`.
            above_mm: Largest radius that needs no look; by default twice each median radius.

        Raises:
            ValueError: The limit is not a positive number.
        """
        if above_mm is None:
            return np.asarray(radius_mm > 2 * self.median_radius_mm)
        if not (is_number(above_mm) and above_mm > 0):
            raise ValueError(f"review_above_mm={above_mm}: give a positive number of mm, or null")
        return np.asarray(radius_mm > above_mm)


def calibrate(
    errors_mm: PerCase, spread_mm: PerCase, names: tuple[str, ...], settings: ConformalSettings
) -> Calibration:
    """Fit radii on the errors of cases that the predicting networks did not see.

    Args:
        errors_mm: Radial errors, NaN where a case lacks a landmark.
        spread_mm: Spread of each prediction.
        names: Landmark names.
        settings: How to fit.

    Raises:
        ValueError: There are too few cases for the coverage.
    """
    known = np.isfinite(errors_mm)
    settings.check_cases(known, names)
    usual, factor = _fit(errors_mm, spread_mm, settings)
    radii = factor * _scale_mm(usual, spread_mm, settings)
    num_cases = int(known.any(axis=1).sum())
    return Calibration(settings, names, num_cases, usual, factor, np.median(radii, axis=0))


def leave_one_case_out(
    errors_mm: PerCase, spread_mm: PerCase, settings: ConformalSettings
) -> tuple[PerCase, PerCase]:
    """Test the radii of each case, fitted on all other cases.

    Args:
        errors_mm: Radial errors, NaN where a case lacks a landmark.
        spread_mm: Spread of each prediction.
        settings: Settings of the radii.

    Returns:
        1 where the landmark lies within its radius, else 0, NaN where the error is not known; and
        the radii in mm, infinite where the other cases are too few.
    """
    radii = np.empty_like(errors_mm)
    for case in range(len(errors_mm)):
        others = np.arange(len(errors_mm)) != case
        usual, factor = _fit(errors_mm[others], spread_mm[others], settings)
        radii[case] = factor * _scale_mm(usual, spread_mm[case], settings)
    within = np.where(np.isfinite(errors_mm), errors_mm <= radii, np.nan)
    return within, radii


def scales_mm(errors_mm: PerCase, spread_mm: PerCase, settings: ConformalSettings) -> PerCase:
    """Scale of each error, to which the errors of its own case contribute nothing.

    Args:
        errors_mm: Radial errors, NaN where a case lacks a landmark.
        spread_mm: Spread of each prediction.
        settings: Weight of the spread.
    """
    return _scale_mm(_usual_errors_mm(errors_mm, leave_out=True), spread_mm, settings)


def conformal_quantile(scores: Float64[np.ndarray, "N M"], coverage: float) -> float:
    """Finite-sample quantile of scores that come in cases.

    >>> conformal_quantile(np.arange(1.0, 20.0)[:, None], 0.9)  # the ceil(20 * 0.9)-th of 19
    18.0

    Args:
        scores: One row per case, NaN where a case has no score.
        coverage: Share of the scores of a new case that are to be at most the quantile.

    Returns:
        The quantile; infinite when there are too few cases.
    """
    finite = np.isfinite(scores)
    counts = finite.sum(axis=1, keepdims=True)
    weights = np.broadcast_to(1 / np.maximum(counts, 1), scores.shape)[finite]
    values = scores[finite]
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / max((counts > 0).sum(), 1)
    plain = int(np.searchsorted(reached, coverage - 1e-9))  # 0.9 of 10 cases is 9 of them
    if plain == len(order):
        return math.inf
    effective = effective_cases(np.where(finite, scores > values[order[plain]], np.nan))
    reached *= effective / (effective + 1)
    index = int(np.searchsorted(reached, coverage - 1e-9))
    return float(values[order[index]]) if index < len(order) else math.inf


def effective_cases(missed: Float64[np.ndarray, "N M"]) -> float:
    """Effective number of independent landmarks, at least the number of cases.

    The correlation within a case is the intraclass correlation of a one-way analysis of variance
    (Shrout and Fleiss, Intraclass correlations, 1979).

    Args:
        missed: 1 where a landmark is missed and 0 where not, NaN where that is not known.
    """
    missed = missed[np.isfinite(missed).any(axis=1)]
    known = np.isfinite(missed)
    counts, total, cases = known.sum(axis=1), known.sum(), len(missed)
    if total == cases or cases < 2:
        return float(cases)
    means = np.nanmean(missed, axis=1)
    between = (counts * (means - np.nanmean(missed)) ** 2).sum() / (cases - 1)
    within = np.nansum((missed - means[:, None]) ** 2) / (total - cases)
    size = (total - (counts**2).sum() / total) / (cases - 1)
    variance = between + (size - 1) * within
    alike = 1.0 if variance == 0 else min(max((between - within) / variance, 0.0), 1.0)
    return float(total / (1 + (total / cases - 1) * alike))


def _fit(
    errors_mm: PerCase, spread_mm: PerCase, settings: ConformalSettings
) -> tuple[PerLandmark, PerLandmark]:
    """Usual error and factor of each landmark."""
    scores = errors_mm / scales_mm(errors_mm, spread_mm, settings)
    if settings.pooled:
        factor = np.full(scores.shape[1], conformal_quantile(scores, settings.coverage))
    else:
        columns = np.split(scores, scores.shape[1], axis=1)
        factor = np.array([conformal_quantile(one, settings.coverage) for one in columns])
    return _usual_errors_mm(errors_mm, leave_out=False)[0], factor


def _usual_errors_mm(errors_mm: PerCase, leave_out: bool) -> PerCase:
    """Usual error of each landmark; with `leave_out`, row i leaves out case i.

    The error of a new case has no part in its scale, so a case's own error must have none either.
    Square roots are averaged, so that one gross error counts for little; landmarks that few cases
    have are shrunk towards the usual error of all.
    """
    known = np.isfinite(errors_mm)
    roots = np.sqrt(np.where(known, errors_mm, 0.0))
    own = (roots, known.astype(np.float64)) if leave_out else (0.0 * roots, 0.0 * roots)
    sums, counts = roots.sum(axis=0) - own[0], known.sum(axis=0) - own[1]
    total, number = sums.sum(axis=1, keepdims=True), counts.sum(axis=1, keepdims=True)
    shared = total / np.maximum(number, 1)
    return ((sums + _SHARED_CASES * shared) / (counts + _SHARED_CASES)) ** 2


def _scale_mm(
    usual_error_mm: Float64[np.ndarray, "*rest L"],
    spread_mm: Float64[np.ndarray, "*rest2 L"],
    settings: ConformalSettings,
) -> Float64[np.ndarray, "*rest3 L"]:
    floor = np.maximum(usual_error_mm, _LEAST_SCALE_MM)
    return np.maximum(floor, settings.spread_weight * spread_mm)

"""Metrics of an evaluation, with bootstrap intervals, for ``metrics.json``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.evaluation import RADII_MM, Evaluation
from pin_lightning.evaluation.metrics import json_safe, mean_error, success_rate, summary_of, within
from pin_lightning.evaluation.planes.errors import plane_metrics
from pin_lightning.evaluation.settings import ReportSettings


def numbers_of(evaluation: Evaluation, settings: ReportSettings) -> dict[str, Any]:
    """`metrics_of` with its intervals, and `plane_metrics`, safe for JSON."""
    return {
        **metrics_of(evaluation, settings.radii_mm),
        "intervals": intervals_of(evaluation, settings.bootstrap, settings.radii_mm),
        **plane_metrics(evaluation, settings.planes),
    }


def p95(values: np.ndarray) -> float:
    """95th percentile of finite values."""
    return float(np.quantile(values, 0.95))


def coverage_of(
    covered: Float64[np.ndarray, "N L"],
    radii_mm: Float64[np.ndarray, "N L"],
    names: Sequence[str],
    asked: float,
    bootstrap: BootstrapSettings,
) -> dict[str, Any]:
    """Observed coverage of error bars, safe for JSON.

    Args:
        covered: 1 where the true landmark lies within its radius, else 0; NaN where undefined.
        radii_mm: Radius of each landmark.
        names: Landmark names.
        asked: Coverage that the radii are fitted for.
        bootstrap: Settings of the intervals.
    """
    return {
        "coverage_asked": asked,
        "coverage": float(np.nanmean(covered)),
        "coverage_interval": bootstrap.interval(covered, np.mean),
        "median_radius_mm": float(np.median(radii_mm)),
        "median_radius_interval": bootstrap.interval(radii_mm, np.median),
        "coverage_per_landmark": {
            name: float(np.nanmean(column)) if np.isfinite(column).any() else None
            for name, column in zip(names, covered.T, strict=True)
        },
    }


def intervals_of(
    evaluation: Evaluation, bootstrap: BootstrapSettings, radii_mm: Sequence[float]
) -> dict[str, Any]:
    """Bootstrap intervals over cases, under the keys of `metrics_of`, safe for JSON."""
    errors, interval = evaluation.errors_mm, bootstrap.interval
    landmarks = zip(evaluation.names, errors.T, strict=True)
    return {
        "level": bootstrap.level,
        "radial_error_mm": {
            "mean": interval(errors, np.mean),
            "median": interval(errors, np.median),
            "p95": interval(errors, p95),
        },
        # A success rate is the mean of what is 1 within the radius and 0 outside.
        "success_rate": {
            success_key(radius): interval(within(errors, radius), np.mean) for radius in radii_mm
        },
        "mean_shape_radial_error_mm": {"mean": interval(evaluation.mean_shape_errors_mm, np.mean)},
        "per_landmark": {
            name: {"mean": interval(own[:, None], np.mean)} for name, own in landmarks
        },
    }


def metrics_of(evaluation: Evaluation, radii_mm: Sequence[float] = RADII_MM) -> dict[str, Any]:
    """Metrics of an evaluation, safe for JSON: None where nothing is defined.

    Errors are in mm, over all defined landmarks of all cases as in the paper's Table 2;
    ``mean_shape`` is the error of the guess before localisation.
    """
    errors, mean_shape = evaluation.errors_mm, evaluation.mean_shape_errors_mm
    columns = zip(evaluation.names, errors.T[..., None], mean_shape.T[..., None], strict=True)
    return {
        "num_cases": len(evaluation.cases),
        "radial_error_mm": summary_of(errors),
        "mean_shape_radial_error_mm": summary_of(mean_shape),
        "success_rate": _success(errors, radii_mm),
        "per_landmark": {
            name: {
                "n": int(np.isfinite(own).sum()),
                **summary_of(own),
                "mean_shape_mean": json_safe(mean_error(guess)),
                "success_rate": _success(own, radii_mm),
            }
            for name, own, guess in columns
        },
        "per_case": dict(
            zip(evaluation.cases, map(json_safe, mean_error(errors, "case")), strict=True)
        ),
        "seconds_per_volume": _median(evaluation.seconds),
        "localise_seconds_per_volume": _median(evaluation.localise_seconds),
    }


def _success(
    errors: Float64[np.ndarray, "N L"], radii_mm: Sequence[float]
) -> dict[str, float | None]:
    return {success_key(radius): json_safe(success_rate(errors, radius)) for radius in radii_mm}


def success_key(radius_mm: float) -> str:
    """Key of the success rate of a radius in `metrics_of`.

    >>> success_key(0.5)
    'within_0.5_mm'
    """
    return f"within_{radius_mm:g}_mm"


def _median(seconds: Float64[np.ndarray, " N"]) -> float | None:
    known = seconds[np.isfinite(seconds)]
    return float(np.median(known)) if known.size else None

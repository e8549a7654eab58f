"""Intervals of the numbers that sum up an evaluation: cases are drawn anew."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation import Evaluation, metrics_of, success_key
from pin_lightning.metrics import within
from pin_lightning.planes.errors import plane_metrics
from pin_lightning.report_settings import BootstrapSettings, ReportSettings


def numbers_of(evaluation: Evaluation, settings: ReportSettings) -> dict[str, Any]:
    """`metrics_of` with its intervals, and `plane_metrics`, safe for JSON."""
    radii_mm = settings.radii_mm
    metrics = metrics_of(evaluation, radii_mm)
    intervals = intervals_of(evaluation, settings.bootstrap, radii_mm)
    planes = plane_metrics(evaluation, settings.planes)
    return {**metrics, "intervals": intervals, **planes}


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
    """How often error bars hold, safe for JSON.

    Args:
        covered: 1 where the true landmark lies within its radius, else 0; NaN where undefined.
        radii_mm: The radii.
        names: Landmark names.
        asked: Coverage that the radii are made for.
        bootstrap: How intervals are made.
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

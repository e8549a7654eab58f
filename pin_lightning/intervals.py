"""Intervals of the numbers that sum up an evaluation: cases are drawn anew."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pin_lightning.evaluation import Evaluation, metrics_of
from pin_lightning.metrics import success_rates
from pin_lightning.plane_errors import plane_metrics
from pin_lightning.report_settings import BootstrapSettings, ReportSettings


def numbers_of(evaluation: Evaluation, settings: ReportSettings) -> dict[str, Any]:
    """`metrics_of` with its intervals, and `plane_metrics`, safe for JSON."""
    radii_mm = settings.radii_mm
    metrics = metrics_of(evaluation, radii_mm)
    intervals = intervals_of(evaluation, settings.bootstrap, radii_mm)
    planes = plane_metrics(evaluation, settings.planes)
    return {**metrics, "intervals": intervals, **planes}


def intervals_of(
    evaluation: Evaluation, bootstrap: BootstrapSettings, radii_mm: Sequence[float]
) -> dict[str, Any]:
    """Bootstrap intervals over cases, under the keys of `metrics_of`, safe for JSON."""
    errors = evaluation.errors_mm
    interval = bootstrap.interval
    return {
        "level": bootstrap.level,
        "radial_error_mm": {
            "mean": interval(errors, np.mean),
            "median": interval(errors, np.median),
            "p95": interval(errors, lambda values: float(np.percentile(values, 95))),
        },
        "success_rate": {
            f"within_{radius_mm:g}_mm": interval(errors, _success(radius_mm))
            for radius_mm in radii_mm
        },
        "mean_shape_radial_error_mm": {"mean": interval(evaluation.mean_shape_errors_mm, np.mean)},
    }


def _success(radius_mm: float) -> Callable[[np.ndarray], float]:
    return lambda values: success_rates(values, [radius_mm])[0]

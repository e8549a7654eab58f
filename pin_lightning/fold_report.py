"""What a cross-validation comes to: out-of-fold errors with intervals, and error bars."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pin_lightning.bootstrap import check_settings, cluster_interval
from pin_lightning.conformal import ConformalSettings, calibrate, leave_one_case_out
from pin_lightning.evaluation import (
    RADII_MM,
    Evaluation,
    metrics_of,
    write_json,
    write_predictions,
)
from pin_lightning.fold_folder import CALIBRATION, METRICS, PREDICTIONS, write_calibration
from pin_lightning.metrics import success_rates

TABLE_HEADER = ("Out of fold", "Value")


@dataclass(frozen=True)
class BootstrapSettings:
    """How intervals are made; see `cluster_interval`.

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
        """Refuse settings out of range."""
        check_settings(self.level, self.resamples)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise ValueError(f"bootstrap.seed={self.seed}: give a whole number of at least 0")

    def interval(
        self, values: Float64[np.ndarray, "N L"], statistic: Callable[[np.ndarray], float]
    ) -> list[float] | None:
        """Interval of a statistic for JSON; none where there are too few cases.

        All intervals come from the same draws of cases.
        """
        generator = np.random.default_rng(self.seed)
        ends = cluster_interval(values, statistic, generator, self.level, self.resamples)
        return list(ends) if np.isfinite(ends).all() else None


def report_folds(
    run_dir: Path,
    evaluation: Evaluation,
    calibration: ConformalSettings | None,
    bootstrap: BootstrapSettings,
) -> dict[str, Any]:
    """Write the predictions, their metrics and the error bars; print one table.

    Args:
        run_dir: Folder of the cross-validation.
        evaluation: Out-of-fold predictions of all cases.
        calibration: How error bars are fitted, none for no error bars.
        bootstrap: How intervals are made.

    Returns:
        The contents of `metrics.json`: as of a run, and ``intervals`` and ``error_bars``.

    Raises:
        ValueError: There are too few cases for the coverage; all else is written before.
    """
    test = {**metrics_of(evaluation), "intervals": intervals_of(evaluation, bootstrap)}
    write_predictions(run_dir / PREDICTIONS, {"test": evaluation})
    (run_dir / CALIBRATION).unlink(missing_ok=True)
    write_json(run_dir / METRICS, {"test": test})
    if calibration is not None:
        spread_mm = evaluation.spread_mm
        fitted = calibrate(evaluation.errors_mm, spread_mm, evaluation.names, calibration)
        write_calibration(run_dir, fitted)
        test["error_bars"] = error_bars_of(evaluation, calibration, bootstrap)
        write_json(run_dir / METRICS, {"test": test})
    Console().print(fold_table(test))
    return {"test": test}


def intervals_of(evaluation: Evaluation, bootstrap: BootstrapSettings) -> dict[str, Any]:
    """Bootstrap intervals over cases, under the keys of `metrics_of`."""
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
            for radius_mm in RADII_MM
        },
        "mean_shape_radial_error_mm": {"mean": interval(evaluation.mean_shape_errors_mm, np.mean)},
    }


def error_bars_of(
    evaluation: Evaluation, settings: ConformalSettings, bootstrap: BootstrapSettings
) -> dict[str, Any]:
    """How the radii do on each case when all other cases give them, safe for JSON."""
    within, radii = leave_one_case_out(evaluation.errors_mm, evaluation.spread_mm, settings)
    if not np.isfinite(radii).all():  # just enough cases, one fewer is not
        return {"coverage_asked": settings.coverage, "coverage": None}
    return {
        "coverage_asked": settings.coverage,
        "coverage": float(np.nanmean(within)),
        "coverage_interval": bootstrap.interval(within, np.mean),
        "median_radius_mm": float(np.median(radii)),
        "median_radius_interval": bootstrap.interval(radii, np.median),
        "coverage_per_landmark": {
            name: float(np.nanmean(column)) if np.isfinite(column).any() else None
            for name, column in zip(evaluation.names, within.T, strict=True)
        },
    }


def _success(radius_mm: float) -> Callable[[np.ndarray], float]:
    return lambda values: success_rates(values, [radius_mm])[0]


def fold_table(test: Mapping[str, Any]) -> Table:
    """Table of the values with their intervals, for the terminal.

    Args:
        test: From `report_folds`.
    """
    level = test["intervals"]["level"]
    landmarks = sum(row["n"] for row in test["per_landmark"].values())
    table = Table(title=f"{test['num_cases']} cases, {landmarks} landmarks, each out of fold")
    for index, header in enumerate((*TABLE_HEADER, f"{100 * level:g} % interval")):
        table.add_column(header, justify="right" if index else "left", no_wrap=index > 0)
    for label, value, interval, places in _table_rows(test):
        ends = "-" if interval is None else " to ".join(f"{end:.{places}f}" for end in interval)
        table.add_row(Text(label), "-" if value is None else f"{value:.{places}f}", ends)
    return table


def _table_rows(
    test: Mapping[str, Any],
) -> Iterator[tuple[str, float | None, list[float] | None, int]]:
    """Label, value, interval and decimal places of each row."""
    intervals = test["intervals"]
    labels = {"mean": "Mean radial error, mm", "median": "Median, mm", "p95": "95th percentile, mm"}
    for key, label in labels.items():
        yield label, test["radial_error_mm"][key], intervals["radial_error_mm"][key], 3
    for radius_mm in RADII_MM:
        key = f"within_{radius_mm:g}_mm"
        value, interval = test["success_rate"][key], intervals["success_rate"][key]
        yield f"Within {radius_mm:g} mm, %", *_percent(value, interval), 1
    mean_shape = "mean_shape_radial_error_mm"
    yield "Mean shape: mean error, mm", test[mean_shape]["mean"], intervals[mean_shape]["mean"], 3
    if (bars := test.get("error_bars")) is not None:
        label = f"Within their radius, % (asked {100 * bars['coverage_asked']:g})"
        yield label, *_percent(bars["coverage"], bars.get("coverage_interval")), 1
        radius, interval = bars.get("median_radius_mm"), bars.get("median_radius_interval")
        yield "Median radius, mm", radius, interval, 3


def _percent(
    value: float | None, interval: list[float] | None
) -> tuple[float | None, list[float] | None]:
    return (
        None if value is None else 100 * value,
        None if interval is None else [100 * end for end in interval],
    )

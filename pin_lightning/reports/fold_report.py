"""Report of a cross-validation: out-of-fold errors with intervals, and error bars."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from pin_lightning.common.files import write_json
from pin_lightning.common.shown_table import print_table
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.conformal import ConformalSettings, calibrate, leave_one_case_out
from pin_lightning.evaluation.contradictions import find_contradictions
from pin_lightning.evaluation.contradictions_csv import write_contradictions
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.planes.errors import write_plane_errors
from pin_lightning.evaluation.poses import PoseResult, pose_metrics, write_poses
from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.evaluation.summary import coverage_of, numbers_of
from pin_lightning.reports.terminal_tables import empty_table, plane_table, pose_table
from pin_lightning.runs.folder import CONTRADICTIONS, METRICS, PLANES, POSES, PREDICTIONS
from pin_lightning.runs.folds import CALIBRATION, write_calibration


def report_folds(
    run_dir: Path,
    evaluation: Evaluation,
    calibration: ConformalSettings | None,
    settings: ReportSettings,
    poses: Sequence[PoseResult] = (),
) -> dict[str, Any]:
    """Write predictions, metrics, contradictions and error bars; print one table.

    Args:
        run_dir: Folder of the cross-validation.
        evaluation: Out-of-fold predictions of all cases.
        calibration: Settings of the error bars, None without them.
        settings: Settings of the report.
        poses: Out-of-fold poses of all cases, where the runs find them.

    Returns:
        The contents of `metrics.json`: those of a run, with ``intervals`` and ``error_bars``.

    Raises:
        ValueError: There are too few cases for the coverage; all else has been written.
    """
    test = {**numbers_of(evaluation, settings), **pose_metrics(poses)}
    write_predictions(run_dir / PREDICTIONS, {"test": evaluation})
    write_plane_errors(run_dir / PLANES, {"test": evaluation}, settings.planes)
    for name in (CALIBRATION, POSES):
        (run_dir / name).unlink(missing_ok=True)
    write_poses(run_dir / POSES, {"test": poses})
    write_contradictions(run_dir / CONTRADICTIONS, find_contradictions(evaluation))
    write_json(run_dir / METRICS, {"test": test})
    if calibration is not None:
        spread_mm = evaluation.spread_mm
        fitted = calibrate(evaluation.errors_mm, spread_mm, evaluation.names, calibration)
        write_calibration(run_dir, fitted)
        test["error_bars"] = error_bars_of(evaluation, calibration, settings.bootstrap)
        write_json(run_dir / METRICS, {"test": test})
    print_table(fold_table(test))
    if "planes" in test:
        print_table(plane_table(test))
    if "poses" in test:
        print_table(pose_table(test))
    return {"test": test}


def error_bars_of(
    evaluation: Evaluation, settings: ConformalSettings, bootstrap: BootstrapSettings
) -> dict[str, Any]:
    """Leave-one-case-out coverage of the radii, safe for JSON."""
    within, radii = leave_one_case_out(evaluation.errors_mm, evaluation.spread_mm, settings)
    if not np.isfinite(radii).all():  # too few cases once one is left out
        return {"coverage_asked": settings.coverage, "coverage": None}
    return coverage_of(within, radii, evaluation.names, settings.coverage, bootstrap)


def fold_table(test: Mapping[str, Any]) -> Table:
    """The metrics of `report_folds` with their intervals, for the terminal."""
    level = test["intervals"]["level"]
    landmarks = sum(row["n"] for row in test["per_landmark"].values())
    title = f"{test['num_cases']} cases, {landmarks} landmarks, each out of fold"
    table = empty_table(title, ("Out of fold", "Value", f"{100 * level:g} % interval"))
    for label, value, interval in _table_rows(test):
        scale, places = (100, 1) if "%" in label else (1, 3)
        shown = "-" if value is None else f"{scale * value:.{places}f}"
        ends = " to ".join(f"{scale * end:.{places}f}" for end in interval or ())
        table.add_row(Text(label), shown, ends or "-")
    return table


def _table_rows(test: Mapping[str, Any]) -> Iterator[tuple[str, float | None, list[float] | None]]:
    """Label, value and interval of each row."""
    intervals = test["intervals"]
    labels = {"mean": "Mean radial error, mm", "median": "Median, mm", "p95": "95th percentile, mm"}
    for key, label in labels.items():
        yield label, test["radial_error_mm"][key], intervals["radial_error_mm"][key]
    for key, value in test["success_rate"].items():
        name = key.replace("_", " ").capitalize()
        yield f"{name}, %", value, intervals["success_rate"][key]
    mean_shape = "mean_shape_radial_error_mm"
    yield "Mean shape: mean error, mm", test[mean_shape]["mean"], intervals[mean_shape]["mean"]
    if (bars := test.get("error_bars")) is not None:
        label = f"Within their radius, % (asked {100 * bars['coverage_asked']:g})"
        yield label, bars["coverage"], bars.get("coverage_interval")
        yield "Median radius, mm", bars.get("median_radius_mm"), bars.get("median_radius_interval")

"""The page of a run, from the files in its folder."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from pin_lightning.common.settings import refuse_missing
from pin_lightning.evaluation.bootstrap import FEW_CASES
from pin_lightning.evaluation.conformal import leave_one_case_out
from pin_lightning.evaluation.contradictions import find_contradictions
from pin_lightning.evaluation.coverage import coverage_curve
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.poses import PoseResult, pose_metrics
from pin_lightning.evaluation.settings import ReportSettings, report_again
from pin_lightning.method.pose.limits import RIGHT_DEGREES, RIGHT_SHARE
from pin_lightning.reports.figures import plots
from pin_lightning.reports.pages import run_facts, run_tables
from pin_lightning.reports.pages.case_views import case_views, picture_of
from pin_lightning.reports.pages.charts import PAGE_INCHES, coverage_figure, success_figure
from pin_lightning.reports.pages.failures import Failures, find_failures
from pin_lightning.reports.pages.methods import Comparison, compare
from pin_lightning.reports.pages.page import Picture, write_page
from pin_lightning.reports.pages.run_facts import RunFacts
from pin_lightning.reports.pages.tables import percent, range_text, three_digits
from pin_lightning.runs.folder import LOGS, PAGE
from pin_lightning.runs.folds import config_of
from pin_lightning.runs.other_methods import read_others

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page, with a detail such as its interval."""

    label: str
    value: str
    unit: str
    detail: str
    bad: bool = False


def write_again(config: DictConfig) -> None:
    """Write the page of a run again by `conf/report.yaml`, whose null settings are the run's.

    Raises:
        ValueError: A setting is wrong, or a file of the folder is absent or damaged.
    """
    refuse_missing(config)
    run_dir = Path(config.run)
    report = report_again(config_of(run_dir).get("report", {}), config.report)
    log.info("%s", write_run_page(run_dir, ReportSettings.of(report)))


def write_run_page(run_dir: Path, settings: ReportSettings) -> Path:
    """Write ``report.html`` from the files of a run folder, without its data and weights.

    Args:
        run_dir: Folder of `train.py`, or of `pin_lightning.cross_validate`.
        settings: Settings of the report.

    Raises:
        ValueError: A file of the folder, or of another method, is absent or damaged.
    """
    run = run_facts.read_run_facts(run_dir)
    known = None if run.part is None else _measured(run, run.evaluations[run.part], settings)
    views = known["cases"] if known is not None else []
    return write_page(
        run_dir / PAGE,
        "report.html.j2",
        scenes=[scene for view in views for scene in view.scenes],
        name=run.name,
        folder=run.folder.resolve().name,
        data=run_facts.data_name(run),
        folds=len(run.folds),
        evaluated_run=run.setting("evaluated_run"),
        seen=len(run_facts.seen_before(run)),
        known=known,
        facts=run_facts.training_facts(run),
        landmarks=run.records[0].names,
        training=_training_chart(run),
        settings=run_facts.settings_text(run.config),
        versions=run_facts.versions(),
    )


def _measured(run: RunFacts, evaluation: Evaluation, settings: ReportSettings) -> dict[str, Any]:
    """Content of the page that needs held-out cases."""
    part = str(run.part)
    within, radii_mm = _leave_one_out(run, evaluation)
    failures = find_failures(evaluation, settings.failure_mm, radii_mm)
    comparison = compare(evaluation, read_others(dict(settings.others)))
    everything = compare(evaluation, [])
    errors = {method.name: method.errors_mm for method in comparison.methods}
    planes = run.metrics.get(part, {}).get("planes")
    return {
        "part": {"test": "test", "val": "validation"}[part],
        "verdict": _verdict(everything, settings),
        "tiles": _tiles(evaluation, failures, settings),
        "few": len(evaluation.cases) if len(evaluation.cases) < FEW_CASES else None,
        "level": f"{100 * settings.bootstrap.level:g}",
        "failures": failures,
        "contradictions": run_tables.contradiction_table(find_contradictions(evaluation))
        if run.folds
        else None,
        "comparison": comparison,
        "methods": run_tables.method_table(comparison, settings),
        "success": Picture.of_chart(
            success_figure(errors, settings.radii_mm), "Share of landmarks within each radius"
        ),
        "boxes": Picture.of_chart(
            plots.error_figure(evaluation, PAGE_INCHES), "Box plots of the error of each landmark"
        ),
        "landmarks": run_tables.landmark_table(evaluation, failures.limit_mm, within, radii_mm),
        "all_cases": run_tables.case_table(evaluation, failures.limit_mm),
        "coverage": _coverage(run, evaluation, settings),
        "held": _held(run.metrics.get(part, {}).get("error_bars")),
        "cases": list(case_views(run, evaluation)),
        "convergence": picture_of(run, f"{part}_convergence.png", "Error after each iteration"),
        "poses": _poses(run.poses.get(part, ())),
        "planes": run_tables.plane_table(planes) if planes else None,
    }


def _leave_one_out(
    run: RunFacts, evaluation: Evaluation
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Leave-one-case-out coverage of each landmark and its radii, None without error bars."""
    if run.calibration is None:
        return None, None
    settings = run.calibration.settings
    within, radii_mm = leave_one_case_out(evaluation.errors_mm, evaluation.spread_mm, settings)
    return (within, radii_mm) if np.isfinite(radii_mm).all() else (None, None)


def _verdict(comparison: Comparison, settings: ReportSettings) -> str:
    """Summary of the run in one sentence, over all of its landmarks."""
    own, guess = comparison.methods[0].errors_mm, comparison.methods[1].errors_mm
    mean, ratio = float(np.nanmean(own)), float(np.nanmean(guess) / np.nanmean(own))
    ends = settings.bootstrap.interval(own, np.mean)
    level = f"{100 * settings.bootstrap.level:g}\u00a0%"
    sure = "one case, so no interval" if ends is None else f"{level} {range_text(ends, mean)}"
    closer = (
        f"{ratio:.1f} times closer than the mean shape"
        if ratio > 1
        else "no closer than the mean shape, the guess before landmarks are localised"
    )
    cases = f"{comparison.compared_cases} case{'s' * (comparison.compared_cases != 1)}"
    return f"{three_digits(mean)}\u00a0mm mean radial error on {cases} ({sure}), {closer}."


def _tiles(evaluation: Evaluation, failures: Failures, settings: ReportSettings) -> list[Tile]:
    errors, interval = evaluation.errors_mm, settings.bootstrap.interval
    mean, median = float(np.nanmean(errors)), float(np.nanmedian(errors))
    mean_ends, median_ends = interval(errors, np.mean), interval(errors, np.median)
    guess_mm = float(np.nanmean(evaluation.mean_shape_errors_mm))
    failed = f"of {failures.known} landmarks, in {failures.cases} of {len(evaluation.cases)} cases"
    seconds = float(np.median(evaluation.seconds))
    time, unit = (1000 * seconds, "ms") if seconds < 1 else (seconds, "s")
    return [
        Tile("Mean error", three_digits(mean), "mm", range_text(mean_ends, mean)),
        Tile("Median error", three_digits(median), "mm", range_text(median_ends, median)),
        Tile("Mean shape", three_digits(guess_mm), "mm", "the guess before localisation"),
        Tile("Failed", str(failures.failed), "", failed, bad=failures.failed > 0),
        Tile("Time", three_digits(time), unit, "a volume, from its file"),
    ]


def _coverage(
    run: RunFacts, evaluation: Evaluation, settings: ReportSettings
) -> dict[str, Any] | None:
    """Chart and numbers of the coverage of error bars, None without them."""
    if run.calibration is None:
        return None
    how = run.calibration.settings
    curve = coverage_curve(evaluation.errors_mm, evaluation.spread_mm, how, settings.bootstrap)
    own = next((one for one in curve if one.asked == how.coverage), None)
    if own is None:
        return None
    chart = coverage_figure(curve, how.coverage)
    return {
        "chart": Picture.of_chart(chart, "Observed against asked coverage of error bars"),
        "cases": run.calibration.num_cases,
        **_bars_text(how.coverage, own.observed, own.interval, own.median_radius_mm),
    }


def _poses(poses: Sequence[PoseResult]) -> dict[str, Any] | None:
    """Numbers and table of the found poses, None without a pose stage."""
    if not poses:
        return None
    numbers = pose_metrics(poses)["poses"]
    errors = {
        f"{key}_{kind}": three_digits(numbers[name][kind])
        for key, name in (("turned", "rotation_degrees"), ("apart", "position_mm"))
        for kind in ("median", "largest")
    }
    limits = {"degrees": f"{RIGHT_DEGREES:g}", "share": f"{100 * RIGHT_SHARE:g}"}
    seconds = three_digits(numbers["seconds"])
    table = run_tables.pose_table(poses)
    return {**numbers, **errors, **limits, "seconds": seconds, "table": table}


def _held(bars: dict[str, Any] | None) -> dict[str, str] | None:
    """Coverage of radii calibrated on other cases, None without them."""
    if not bars or bars["coverage"] is None:
        return None
    keys = ("coverage_asked", "coverage", "coverage_interval", "median_radius_mm")
    return _bars_text(*(bars[key] for key in keys))


def _bars_text(
    asked: float, observed: float, interval: Sequence[float] | None, radius_mm: float
) -> dict[str, str]:
    return {
        "asked": percent(asked).removesuffix(".0"),
        "observed": percent(observed),
        "ends": " to ".join(map(percent, interval or ())),
        "radius": three_digits(radius_mm),
    }


def _training_chart(run: RunFacts) -> Picture | None:
    """Training curves of the run or its first fold, None for a run too short to log any."""
    path = (run.folds or (run.folder,))[0] / LOGS / "metrics.csv"
    if not path.is_file():
        return None
    return Picture.of_chart(plots.training_figure(path, PAGE_INCHES), "Training curves")

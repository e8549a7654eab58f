"""The page of a run: what it can and cannot do, from the files in its folder."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from pin_lightning.common.settings import refuse_missing
from pin_lightning.evaluation.bootstrap import FEW_CASES
from pin_lightning.evaluation.conformal import leave_one_case_out
from pin_lightning.evaluation.coverage import coverage_curve
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.settings import ReportSettings, report_again
from pin_lightning.reports.figures import plots
from pin_lightning.reports.pages.case_views import case_views, picture_of
from pin_lightning.reports.pages.charts import PAGE_INCHES, coverage_figure, success_figure
from pin_lightning.reports.pages.failures import Failures, find_failures
from pin_lightning.reports.pages.methods import Comparison, compare
from pin_lightning.reports.pages.page import Picture, write_page
from pin_lightning.reports.pages.run_facts import (
    RunFacts,
    data_name,
    read_run_facts,
    seen_before,
    settings_text,
    training_facts,
    versions,
)
from pin_lightning.reports.pages.run_tables import (
    case_table,
    landmark_table,
    method_table,
    plane_table,
)
from pin_lightning.reports.pages.tables import percent, range_text, three_digits
from pin_lightning.runs.folder import LOGS, PAGE
from pin_lightning.runs.folds import config_of
from pin_lightning.runs.other_methods import read_others

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """A number to see first, with what it is and how sure it is."""

    label: str
    value: str
    unit: str
    detail: str
    bad: bool = False


def write_again(config: DictConfig) -> None:
    """Write the page of a run again.

    Args:
        config: Composed from `conf/report.yaml`; what is null is as the page was made before.

    Raises:
        ValueError: A setting is wrong, or a file of the folder is absent or damaged.
    """
    refuse_missing(config)
    run_dir = Path(config.run)
    report = report_again(config_of(run_dir).get("report", {}), config.report)
    log.info("%s", write_run_page(run_dir, ReportSettings.of(report)))


def write_run_page(run_dir: Path, settings: ReportSettings) -> Path:
    """Write ``report.html`` from what is in a run folder; neither data nor weights are needed.

    Args:
        run_dir: Folder of `train.py`, or of `pin_lightning.cross_validate`.
        settings: What is shown, and how.

    Returns:
        The page.

    Raises:
        ValueError: A file of the folder, or of another method, is absent or damaged.
    """
    run = read_run_facts(run_dir)
    now = datetime.now(UTC)
    known = None if run.part is None else _measured(run, run.evaluations[run.part], settings)
    views = known["cases"] if known is not None else []
    return write_page(
        run_dir / PAGE,
        "report.html.j2",
        scenes=[view.scene for view in views if view.scene is not None],
        name=run.name,
        folder=run.folder.resolve().name,
        data=data_name(run),
        folds=len(run.folds),
        evaluated_run=run.setting("evaluated_run"),
        seen=len(seen_before(run)),
        date=f"{now.day} {now:%B %Y, %H:%M} UTC",
        known=known,
        facts=training_facts(run),
        landmarks=run.records[0].names,
        training=_training_chart(run),
        settings=settings_text(run.config),
        versions=versions(),
    )


def _measured(run: RunFacts, evaluation: Evaluation, settings: ReportSettings) -> dict[str, Any]:
    """All that rests on cases that were held out."""
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
        "comparison": comparison,
        "methods": method_table(comparison, settings),
        "success": Picture.of_chart(
            success_figure(errors, settings.radii_mm), "Share of landmarks within each radius"
        ),
        "boxes": Picture.of_chart(
            plots.error_figure(evaluation, PAGE_INCHES), "Box plots of the error of each landmark"
        ),
        "landmarks": landmark_table(evaluation, failures.limit_mm, within, radii_mm),
        "all_cases": case_table(evaluation, failures.limit_mm),
        "coverage": _coverage(run, evaluation, settings),
        "held": _held(run.metrics.get(part, {}).get("error_bars")),
        "cases": list(case_views(run, evaluation)),
        "convergence": picture_of(run, f"{part}_convergence.png", "Error after each iteration"),
        "planes": plane_table(planes) if planes else None,
    }


def _leave_one_out(
    run: RunFacts, evaluation: Evaluation
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Which landmarks lie within the radii that all other cases give, and these radii."""
    if run.calibration is None:
        return None, None
    settings = run.calibration.settings
    within, radii_mm = leave_one_case_out(evaluation.errors_mm, evaluation.spread_mm, settings)
    return (within, radii_mm) if np.isfinite(radii_mm).all() else (None, None)


def _verdict(comparison: Comparison, settings: ReportSettings) -> str:
    """The run in one sentence, over all of its landmarks."""
    own, guess = comparison.methods[0].errors_mm, comparison.methods[1].errors_mm
    mean, ratio = float(np.nanmean(own)), float(np.nanmean(guess) / np.nanmean(own))
    ends = settings.bootstrap.interval(own, np.mean)
    level = f"{100 * settings.bootstrap.level:g}\u00a0%"
    sure = "one case, so no interval" if ends is None else f"{level} {range_text(ends, mean)}"
    closer = (
        f"{ratio:.1f} times closer than the mean shape"
        if ratio > 1
        else "no closer than the mean shape, which uses no image"
    )
    cases = f"{comparison.compared_cases} case{'s' * (comparison.compared_cases != 1)}"
    return f"{three_digits(mean)}\u00a0mm mean radial error on {cases} ({sure}), {closer}."


def _tiles(evaluation: Evaluation, failures: Failures, settings: ReportSettings) -> list[Tile]:
    errors, guess = evaluation.errors_mm, evaluation.mean_shape_errors_mm
    interval = settings.bootstrap.interval
    mean, median = float(np.nanmean(errors)), float(np.nanmedian(errors))
    guess_mm = float(np.nanmean(guess))
    seconds = float(np.median(evaluation.seconds))
    failed = f"of {failures.known} landmarks, in {failures.cases} of {len(evaluation.cases)} cases"
    return [
        Tile("Mean error", three_digits(mean), "mm", range_text(interval(errors, np.mean), mean)),
        Tile(
            *("Median error", three_digits(median), "mm"),
            range_text(interval(errors, np.median), median),
        ),
        Tile("Mean shape", three_digits(guess_mm), "mm", "the guess without the image"),
        Tile("Failed", str(failures.failed), "", failed, bad=failures.failed > 0),
        Tile("Time", *_time(seconds), "a volume, from its file"),
    ]


def _time(seconds: float) -> tuple[str, str]:
    return (three_digits(1000 * seconds), "ms") if seconds < 1 else (three_digits(seconds), "s")


def _coverage(
    run: RunFacts, evaluation: Evaluation, settings: ReportSettings
) -> dict[str, Any] | None:
    """How often error bars hold, none where there are none."""
    if run.calibration is None:
        return None
    how = run.calibration.settings
    curve = coverage_curve(evaluation.errors_mm, evaluation.spread_mm, how, settings.bootstrap)
    own = next((one for one in curve if one.asked == how.coverage), None)
    if own is None:
        return None
    return {
        "chart": Picture.of_chart(
            coverage_figure(curve, how.coverage), "Observed against asked coverage of error bars"
        ),
        "asked": percent(how.coverage).removesuffix(".0"),
        "observed": percent(own.observed),
        "ends": "" if own.interval is None else " to ".join(map(percent, own.interval)),
        "radius": three_digits(own.median_radius_mm),
        "cases": run.calibration.num_cases,
    }


def _held(bars: dict[str, Any] | None) -> dict[str, str] | None:
    """How often radii that other cases gave hold on these, none without such radii."""
    if not bars or bars["coverage"] is None:
        return None
    return {
        "asked": percent(bars["coverage_asked"]).removesuffix(".0"),
        "observed": percent(bars["coverage"]),
        "ends": " to ".join(map(percent, bars["coverage_interval"] or ())),
        "radius": three_digits(bars["median_radius_mm"]),
    }


def _training_chart(run: RunFacts) -> Picture | None:
    """Curves of the run, or of the first fold; none of a run too short to log anything."""
    path = (run.folds or (run.folder,))[0] / LOGS / "metrics.csv"
    if not path.is_file():
        return None
    return Picture.of_chart(plots.training_figure(path, PAGE_INCHES), "Training curves")

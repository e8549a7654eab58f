"""Report of a run: numbers, predictions, figures, a page and a printed table."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.common.files import write_json
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.common.shown_table import print_table
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.scan_levels import placed, scan_to_world
from pin_lightning.data.skipped import count_skipped, read_skipped, skips_errors, write_skipped
from pin_lightning.evaluation.convergence import Convergence
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.planes.errors import write_plane_errors
from pin_lightning.evaluation.planes.groups import groups_within
from pin_lightning.evaluation.poses import PoseResult, pose_metrics, write_poses
from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.evaluation.summary import coverage_of, numbers_of
from pin_lightning.reports.convergence_report import report_convergence
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.case_pictures import case_pictures
from pin_lightning.reports.figures.shown_cases import KeptCases, ShownCase, read_case, trace_pose
from pin_lightning.reports.pages.run_page import write_run_page
from pin_lightning.reports.terminal_tables import error_table, plane_table, pose_table
from pin_lightning.runs.folder import FIGURES, LOGS, METRICS, PLANES, POSES, PREDICTIONS
from pin_lightning.runs.predictor import Localised, Predictor
from pin_lightning.runs.volume_file import LocalFile

log = logging.getLogger(__name__)


def report(
    run_dir: Path,
    predictor: Predictor,
    parts: Mapping[str, Sequence[AnnotatedCase]],
    settings: ReportSettings,
    on_error: str = "refuse",
) -> dict[str, Any]:
    """Evaluate the cases of each split, write and print the results.

    Args:
        run_dir: Folder for `metrics.json`, `predictions.csv`, `convergence.csv`, `figures/` and
            `report.html`.
        predictor: The trained predictor.
        parts: Annotated cases of each split to evaluate; those of the last are pictured.
        settings: Settings of the report.
        on_error: With ``skip``, cases whose image has become damaged are left out.

    Returns:
        The contents of `metrics.json`.

    Raises:
        ValueError: An image, or with ``skip`` all images of a split, cannot be read.
    """
    skipped: dict[str, str] | None = {} if skips_errors(on_error) else None
    pictured = list(parts)[-1] if settings.pictures and parts else None
    kept = KeptCases(0 if pictured is None else len(parts[pictured]), settings.planes)
    poses: dict[str, list[PoseResult]] = {part: [] for part in parts}
    found = {
        part: evaluate(
            *(predictor, cases, part, skipped, kept if part == pictured else None, poses[part])
        )
        for part, cases in parts.items()
    }
    if skipped:
        count_skipped(skipped, sum(map(len, parts.values())))
        write_skipped(run_dir, read_skipped(run_dir) | skipped)
    evaluations = {part: evaluation for part, (evaluation, _) in found.items()}
    convergence = {part: cases for part, (_, cases) in found.items()}
    metrics = {
        part: {
            **numbers_of(one, settings),
            **_error_bars(one, predictor, settings),
            **pose_metrics(poses[part]),
        }
        for part, one in evaluations.items()
    }
    write_json(run_dir / METRICS, metrics)
    write_predictions(run_dir / PREDICTIONS, evaluations)
    write_plane_errors(run_dir / PLANES, evaluations, settings.planes)
    write_poses(run_dir / POSES, poses)
    report_convergence(run_dir, evaluations, convergence, settings.pictures)
    for part, one in metrics.items():
        print_table(error_table(one, f"{part}: {one['num_cases']} cases"))
        if "planes" in one:
            print_table(plane_table(one))
        if "poses" in one:
            print_table(pose_table(one))
    if settings.pictures:
        _draw(run_dir, predictor, parts, evaluations, kept)
        log.info("%s", write_run_page(run_dir, settings))
    return metrics


def _error_bars(
    evaluation: Evaluation, predictor: Predictor, settings: ReportSettings
) -> dict[str, Any]:
    """Coverage of the predictor's error bars, empty without them."""
    if (bars := predictor.calibration) is None:
        return {}
    radii_mm, errors = bars.radius_mm(evaluation.spread_mm), evaluation.errors_mm
    within = np.where(np.isfinite(errors), errors <= radii_mm, np.nan)
    shown = (evaluation.names, bars.settings.coverage, settings.bootstrap)
    return {"error_bars": coverage_of(within, radii_mm, *shown)}


def _draw(
    run_dir: Path,
    predictor: Predictor,
    parts: Mapping[str, Sequence[AnnotatedCase]],
    evaluations: Mapping[str, Evaluation],
    kept: KeptCases,
) -> None:
    """Draw the training, the errors of each split, and cases of the last split."""
    figures = run_dir / FIGURES
    if (logged := run_dir / LOGS / "metrics.csv").is_file():  # absent after a very short run
        plots.save(plots.training_figure(logged), figures / "training.png")
    for part, evaluation in evaluations.items():
        plots.save(plots.error_figure(evaluation), figures / f"{part}_errors.png")
    if evaluations:
        part, evaluation = list(evaluations.items())[-1]
        cases = {one.case.name: one for one in parts[part]}

        def show(name: str) -> ShownCase:
            return kept.get(name) or read_case(predictor, cases[name], kept.groups)

        trace = lambda name: trace_pose(predictor, cases[name])  # noqa: E731
        case_pictures(figures, evaluation, part, show, trace)


def evaluate(
    predictor: Predictor,
    cases: Sequence[AnnotatedCase],
    part: str,
    skipped: dict[str, str] | None = None,
    kept: KeptCases | None = None,
    poses: list[PoseResult] | None = None,
) -> tuple[Evaluation, dict[str, Convergence]]:
    """Predict annotated cases and compare them with the truth.

    Reads image files, not the cached volumes of a training, so that `seconds` hold for new files.

    Args:
        predictor: The predictor.
        cases: Annotated cases.
        part: Their name, for the progress bar.
        skipped: Receives the errors of images that cannot be read, by case; None raises them.
        kept: Receives cases that may be pictured.
        poses: Receives the found poses, where the predictor has a pose stage.

    Returns:
        The predictions, and the convergence of the starts by case.

    Raises:
        ValueError: An image, or with `skipped` all images, cannot be read.
    """
    files = [LocalFile(annotated.case.image) for annotated in cases]
    arrays, convergence = [], {}  # not whole predictions, whose trajectories are large
    known = []
    with_images = kept is not None and bool(groups_within(kept.groups, predictor.names))
    with (
        closing(predictor.localise_many(files, with_images=with_images)) as results,
        progress_bar(results, f"evaluating {part}", len(files)) as counted,
    ):
        for annotated, (_, localised) in zip(cases, counted, strict=True):
            if isinstance(localised, ValueError):
                if skipped is None:
                    raise localised
                log.warning("%s: left out: %s", annotated.case.name, localised)
                skipped[annotated.case.name] = str(localised)
                continue
            known.append(annotated)
            found = localised.prediction
            if kept is not None:
                kept.add(annotated, localised)
            if poses is not None and found.pose is not None:
                poses.append(_judged(predictor, annotated, localised))
            path_mm = found.trajectory.landmarks_mm[0].double().cpu().numpy()
            volume = localised.volume
            within = annotated.within(volume.affine, volume.grid)
            truth_mm = within.landmarks_mm.double().numpy()
            convergence[annotated.case.name] = Convergence.of(path_mm, truth_mm)
            shapes = (found.positions_world, found.mean_shape_world, found.spread_mm)
            arrays.append((*shapes, *map(np.float64, (found.seconds, found.localise_seconds))))
    if not known:
        raise ValueError(f"{part}: no image can be read, such as that of {cases[0].case.name}")
    evaluation = Evaluation(
        tuple(annotated.case.name for annotated in known),
        predictor.names,
        np.stack([annotated.landmarks.positions_world for annotated in known]),
        np.stack([annotated.landmarks.defined for annotated in known]),
        *map(np.stack, zip(*arrays, strict=True)),  # in the order of the attributes
    )
    return evaluation, convergence


def _judged(predictor: Predictor, annotated: AnnotatedCase, localised: Localised) -> PoseResult:
    """Compare the pose of a case with that of its true landmarks."""
    located, locator = localised.prediction.pose, predictor.locator
    assert located is not None
    assert locator is not None
    shape, affine = localised.header
    truth_world = annotated.landmarks.select(locator.anatomy.names).positions_world
    true = locator.anatomy.known_pose_of(placed(truth_world, scan_to_world(affine, shape)))
    about = (locator.anatomy, located.uncertain, located.seconds)
    return PoseResult.of(annotated.case.name, located.found, true, *about)

"""Pictures of the best, the median and the worst case: landmarks, planes and paths of starts."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.preprocessing import WorkingVolume
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.planes import plane_figure
from pin_lightning.reports.figures.shown_cases import ShownCase
from pin_lightning.reports.figures.trajectory_gif import write_trajectory_gif
from pin_lightning.reports.figures.trajectory_plots import trajectory_figure
from pin_lightning.runs.predictor import Prediction


def chosen_cases(evaluation: Evaluation) -> dict[str, str]:
    """Choose the cases of smallest, median and largest mean error: names by label.

    Cases without any defined landmark are left out; of few cases, one can have several labels.
    """
    known = np.flatnonzero(evaluation.defined.any(axis=1))
    order = known[np.argsort(np.nanmean(evaluation.errors_mm[known], axis=1), kind="stable")]
    if not len(order):
        return {}
    places = {"best": 0, "median": (len(order) - 1) // 2, "worst": len(order) - 1}
    return {label: evaluation.cases[order[place]] for label, place in places.items()}


def case_pictures(
    figures: Path, evaluation: Evaluation, part: str, show: Callable[[str], ShownCase]
) -> None:
    """Write ``PART_LABEL_KIND.png`` for the labels of `chosen_cases`.

    The moving starts are in a film, ``PART_LABEL_starts.gif``, and in a 3D figure for plotly.js,
    the ``.json`` beside it.

    Args:
        figures: Folder to write to.
        evaluation: Evaluation of the split.
        part: Name of the split.
        show: Gives a case by its name.
    """
    show = cache(show)  # of few cases, one can have several labels
    errors = dict(zip(evaluation.cases, evaluation.errors_mm, strict=True))
    for label, name in chosen_cases(evaluation).items():
        shown = show(name)
        annotated, volume, prediction = shown.annotated, shown.volume, shown.prediction
        title = f"{name}: {label} {part} case, mean error {np.nanmean(errors[name]):.2f} mm"
        views = [*_views(volume, prediction, annotated, title)]
        views += [("planes", plane_figure(shown.planes, title))] if shown.planes else []
        for kind, figure in views:
            plots.save(figure, figures / f"{part}_{label}_{kind}.png")
        stem = figures / f"{part}_{label}_starts"
        _write_moving(stem, volume, prediction, annotated, f"{name}: {label} {part} case")


def _views(
    volume: WorkingVolume, prediction: Prediction, annotated: AnnotatedCase, title: str
) -> Iterator[tuple[str, plots.Figure]]:
    """Three-plane view and start paths."""
    grid, names = volume.grid, prediction.names
    predicted_ijk = _ijk(grid, prediction.trajectory.prediction_mm[0])
    path_ijk = _ijk(grid, prediction.trajectory.landmarks_mm[0])
    truth_ijk = _ijk(grid, annotated.landmarks_mm)
    shown = (volume.intensity.numpy(), grid.spacing_mm)
    yield "case", plots.case_figure(*shown, truth_ijk, predicted_ijk, names, title)
    yield "starts", trajectory_figure(*shown, path_ijk, truth_ijk, names, title)


def _write_moving(
    stem: Path, volume: WorkingVolume, prediction: Prediction, annotated: AnnotatedCase, title: str
) -> None:
    """Write the film and the 3D figure of the moving starts."""
    # Plotly is slow to import and not needed before.
    from pin_lightning.reports.figures.trajectory_3d import trajectory_3d, write_trajectory_3d

    grid = volume.grid
    path_ijk = _ijk(grid, prediction.trajectory.landmarks_mm[0])
    truth_ijk = _ijk(grid, annotated.landmarks_mm)
    shown = (volume.intensity.numpy(), grid.spacing_mm, path_ijk, truth_ijk)
    write_trajectory_gif(stem.with_name(f"{stem.name}.gif"), *shown, title)
    figure = trajectory_3d(*shown, prediction.names)
    write_trajectory_3d(stem.with_name(f"{stem.name}.json"), figure)


def _ijk(grid: Grid, points_mm: Float[Tensor, "*rest 3"]) -> Float64[np.ndarray, "*rest 3"]:
    return grid.mm_to_ijk(points_mm.double().cpu().numpy())

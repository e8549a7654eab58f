"""Pictures of the best, the median and the worst case: landmarks, planes and paths of starts."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.scan_levels import placed
from pin_lightning.evaluation.convergence import iterates
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.planes import plane_figure
from pin_lightning.reports.figures.shown_cases import ShownCase
from pin_lightning.reports.figures.trajectory_gif import write_trajectory_gif
from pin_lightning.reports.figures.trajectory_plots import trajectory_figure
from pin_lightning.runs.locator import PoseTrace


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
    figures: Path,
    evaluation: Evaluation,
    part: str,
    show: Callable[[str], ShownCase],
    trace: Callable[[str], PoseTrace | None],
) -> None:
    """Write ``PART_LABEL_KIND.png`` for the labels of `chosen_cases`.

    The starts, where they iterate, are in a film, ``PART_LABEL_starts.gif``, and in a 3D figure for
    plotly.js, the ``.json`` beside it; how the pose was found likewise, in ``PART_LABEL_pose.gif``.

    Args:
        figures: Folder to write to.
        evaluation: Evaluation of the split.
        part: Name of the split.
        show: Gives a case by its name.
        trace: Gives how its pose was found, None without a pose stage.
    """
    # Plotly is slow to import and not needed before.
    from pin_lightning.reports.figures.trajectory_3d import trajectory_3d, write_trajectory_3d

    show, trace = cache(show), cache(trace)  # of few cases, one can have several labels
    errors = dict(zip(evaluation.cases, evaluation.errors_mm, strict=True))
    for label, name in chosen_cases(evaluation).items():
        shown = show(name)
        grid, names = shown.volume.grid, shown.prediction.names
        predicted_ijk = _ijk(grid, shown.prediction.trajectory.prediction_mm[0])
        path_ijk = _ijk(grid, shown.prediction.trajectory.landmarks_mm[0])
        truth_ijk = _ijk(grid, shown.annotated.landmarks_mm)
        volume = (shown.volume.intensity.numpy(), grid.spacing_mm)
        heading, stem = f"{name}: {label} {part} case", f"{part}_{label}"
        title = f"{heading}, mean error {np.nanmean(errors[name]):.2f} mm"
        moves = iterates(len(path_ijk) - 1)
        views = {"case": plots.case_figure(*volume, truth_ijk, predicted_ijk, names, title)}
        if moves:
            views["starts"] = trajectory_figure(*volume, path_ijk, truth_ijk, names, title)
        if shown.planes:
            views["planes"] = plane_figure(shown.planes, title)
        for kind, figure in views.items():
            plots.save(figure, figures / f"{stem}_{kind}.png")
        if moves:
            moving = (*volume, path_ijk, truth_ijk)
            write_trajectory_gif(figures / f"{stem}_starts.gif", *moving, heading)
            write_trajectory_3d(figures / f"{stem}_starts.json", trajectory_3d(*moving, names))
        if (found := trace(name)) is not None:
            stem = f"{part}_{label}_pose"
            posed = (found.volume, found.spacing_mm, *_posed_ijk(found, shown))
            write_trajectory_gif(figures / f"{stem}.gif", *posed, f"{heading}, its pose", best=0)
            scene = trajectory_3d(*posed, found.names, best=0)
            write_trajectory_3d(figures / f"{stem}.json", scene)


def _ijk(grid: Grid, points_mm: Float[Tensor, "*rest 3"]) -> Float64[np.ndarray, "*rest 3"]:
    return grid.mm_to_ijk(points_mm.double().cpu().numpy())


def _posed_ijk(
    found: PoseTrace, shown: ShownCase
) -> tuple[Float64[np.ndarray, "T1 S l 3"], Float64[np.ndarray, "l 3"]]:
    """Paths of the poses' landmarks, and the true landmarks, in voxels of the traced volume."""
    truth_world = shown.annotated.landmarks.select(found.names).positions_world
    grid = Grid(found.volume.shape, found.spacing_mm)
    return grid.mm_to_ijk(found.path_mm), grid.mm_to_ijk(placed(truth_world, found.to_world))

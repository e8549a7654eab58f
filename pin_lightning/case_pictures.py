"""Pictures of the best, the median and the worst case: landmarks, and how they were found."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pin_lightning import plots
from pin_lightning.evaluation import Evaluation
from pin_lightning.inspection import AnnotatedCase
from pin_lightning.plane_figures import draw_planes
from pin_lightning.plane_groups import PlaneGroup
from pin_lightning.predictor import Prediction, Predictor
from pin_lightning.preprocessing import WorkingVolume, preprocess

# Who localises a case, and the case.
Load: TypeAlias = Callable[[str], tuple[Predictor, AnnotatedCase]]


def chosen_cases(evaluation: Evaluation) -> dict[str, str]:
    """Names of the cases of the least, the median and the largest mean error, by these labels.

    With few cases, one can be there under several labels.

    Args:
        evaluation: Cases without any defined landmark are left out.
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
    load: Load,
    groups: Sequence[PlaneGroup] = (),
) -> None:
    """Write ``PART_LABEL_KIND.png`` for the labels of `chosen_cases`.

    Args:
        figures: The folder to write to.
        evaluation: Of the split.
        part: Name of the split.
        load: Gives predictor and case by the name of the case.
        groups: Standard planes, shown where the predictor has all their landmarks.
    """
    errors = dict(zip(evaluation.cases, evaluation.errors_mm, strict=True))
    for label, name in chosen_cases(evaluation).items():
        predictor, annotated = load(name)
        volume = preprocess(annotated.case.image, predictor.localizer.grid)
        prediction = predictor.localise(volume)
        title = f"{name}: {label} {part} case, mean error {np.nanmean(errors[name]):.2f} mm"
        views = [*_views(volume, prediction, annotated, title)]
        planes = draw_planes(annotated, prediction.landmarks, groups, title)
        views += [] if planes is None else [("planes", planes)]
        for kind, figure in views:
            plots.save(figure, figures / f"{part}_{label}_{kind}.png")


def _views(
    volume: WorkingVolume, prediction: Prediction, annotated: AnnotatedCase, title: str
) -> Iterator[tuple[str, plots.Figure]]:
    """Three-plane view and start paths."""
    grid, names, trajectory = volume.grid, prediction.names, prediction.trajectory
    path_mm = trajectory.landmarks_mm[0].double().cpu().numpy()
    predicted_mm = trajectory.prediction_mm[0].double().cpu().numpy()
    truth_ijk = grid.mm_to_ijk(annotated.landmarks_mm.double().numpy())
    shown = (volume.intensity.numpy(), grid.spacing_mm)
    yield "case", plots.case_figure(*shown, truth_ijk, grid.mm_to_ijk(predicted_mm), names, title)
    path_ijk = grid.mm_to_ijk(path_mm)
    yield "starts", plots.trajectory_figure(*shown, path_ijk, truth_ijk, names, title)

"""Errors of predicted standard planes: angle and offset from the true planes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.files import write_text
from pin_lightning.common.tables import csv_number, csv_text
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.metrics import summary_of
from pin_lightning.evaluation.planes.groups import PlaneGroup, groups_within
from pin_lightning.evaluation.planes.plane import Plane, angle_degrees, fit_plane, offset_mm

ERRORS = ("angle_degrees", "offset_mm")
CSV_COLUMNS = ("split", "case", "plane", *ERRORS)


def plane_pair(
    group: PlaneGroup,
    names: Sequence[str],
    predicted_world: Float64[np.ndarray, "L 3"],
    truth_world: Float64[np.ndarray, "L 3"],
) -> tuple[Plane, Plane] | None:
    """Predicted and true plane of a case; None where either cannot be fitted.

    Both are fitted to the landmarks that have a true position, so that a missing one is no error.
    """
    truth = fit_plane(group, names, truth_world)
    known = np.isfinite(truth_world).all(axis=-1, keepdims=True)
    predicted = fit_plane(group, names, np.where(known, predicted_world, np.nan))
    return None if truth is None or predicted is None else (predicted, truth)


def plane_errors(evaluation: Evaluation, group: PlaneGroup) -> Float64[np.ndarray, "N 2"]:
    """Errors of a plane in each case of an evaluation that has all landmarks of the group.

    Returns:
        `ERRORS` of each case, NaN where the plane cannot be fitted: the angle between predicted and
        true plane, and the distance of the centre of the true plane from the predicted plane.
    """
    truth_world = np.where(evaluation.defined[..., None], evaluation.truth_world, np.nan)
    both = zip(evaluation.predicted_world, truth_world, strict=True)
    pairs = [plane_pair(group, evaluation.names, *positions) for positions in both]
    unknown = (np.nan, np.nan)
    return np.array(
        [(angle_degrees(*pair), offset_mm(*pair)) if pair else unknown for pair in pairs]
    )


def plane_metrics(evaluation: Evaluation, groups: Sequence[PlaneGroup]) -> dict[str, Any]:
    """Errors of the planes that have all their landmarks, for `metrics.json`.

    Returns:
        ``planes``, by name: ``n``, and ``mean``, ``sd``, ``median`` and ``p95`` of
        ``angle_degrees`` and ``offset_mm``, None where no case has the plane. Empty without planes.
    """
    used = groups_within(groups, evaluation.names)
    planes = {group.name: _summary(plane_errors(evaluation, group)) for group in used}
    return {"planes": planes} if planes else {}


def _summary(errors: Float64[np.ndarray, "N 2"]) -> dict[str, Any]:
    summaries = {name: summary_of(errors[:, [column]]) for column, name in enumerate(ERRORS)}
    return {"n": int(np.isfinite(errors[:, 0]).sum()), **summaries}


def write_plane_errors(
    path: Path, evaluations: Mapping[str, Evaluation], groups: Sequence[PlaneGroup]
) -> None:
    """Write one CSV row per split, case and plane; no file if no plane has all its landmarks.

    An existing file is removed. A cell is empty where the plane cannot be fitted.
    """
    rows = [
        (split, case, group.name, *map(csv_number, values))
        for split, evaluation in evaluations.items()
        for group in groups_within(groups, evaluation.names)
        for case, values in zip(evaluation.cases, plane_errors(evaluation, group), strict=True)
    ]
    path.unlink(missing_ok=True)
    if rows:
        write_text(path, csv_text([CSV_COLUMNS, *rows]))

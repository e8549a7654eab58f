"""Inspection: what the headers and landmark files of cases say, read once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pin_lightning.common.geometry import Grid, grid_affine, world_to_mm
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.names import did_you_mean
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.cases import Case
from pin_lightning.data.images.reading import Header, read_header


@dataclass(frozen=True, eq=False)
class Inspected:
    """A case whose header and landmarks could be read.

    Attributes:
        case: Where its files are.
        header: Shape and affine of the image as stored.
        landmarks: All landmarks of its file in the file's order; some may be undefined.
    """

    case: Case
    header: Header
    landmarks: LandmarkSet


@dataclass(frozen=True, eq=False)
class AnnotatedCase:
    """A case with the landmarks to localise, in both frames.

    Attributes:
        case: Where its files are.
        landmarks: World RAS+ mm, in the order of the model; some may be undefined.
        landmarks_mm: The same positions in grid millimetres [L, 3], NaN where undefined.
    """

    case: Case
    landmarks: LandmarkSet
    landmarks_mm: Float[Tensor, "L 3"]


def inspect_cases(cases: Sequence[Case]) -> tuple[list[Inspected], dict[str, str]]:
    """Read header and landmarks of every case, going on after a bad one.

    Args:
        cases: Cases with landmarks.

    Returns:
        The cases that could be read, and for each other case what is wrong, by its name.
    """
    inspected, failures = [], {}
    for case in cases:
        try:
            inspected.append(_inspect(case))
        except ValueError as error:
            failures[case.name] = str(error)
    return inspected, failures


def _inspect(case: Case) -> Inspected:
    if case.read is None:
        raise ValueError(f"{case.image}: the case has no landmarks; add them or leave it out")
    return Inspected(case, read_header(case.image), case.read())


def choose_landmarks(
    inspected: Sequence[Inspected], wanted: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Names of the landmarks to localise: those wanted, else all that the cases have.

    Cases may lack some. The order is that of the first case, then of what others add.

    Args:
        inspected: The cases.
        wanted: Names to localise, in this order.

    Raises:
        ValueError: A name that is wanted, or stands in a file, has a position in no case.
    """
    found = dict.fromkeys(name for one in inspected for name in one.landmarks.names)
    chosen = tuple(found) if wanted is None else tuple(wanted)
    placed = {name for one in inspected for name in _defined_names(one.landmarks)}
    for name in chosen:
        if name not in found:
            hint = did_you_mean(name, found)
            raise ValueError(f"model.landmarks={list(chosen)}: no case has {name}; {hint}")
        if name not in placed:
            raise ValueError(
                f"landmark {name}: has a position in no case; place it, take it out of the "
                f"files, or leave it out of model.landmarks"
            )
    return chosen


def _defined_names(landmarks: LandmarkSet) -> list[str]:
    pairs = zip(landmarks.names, landmarks.defined, strict=True)
    return [name for name, is_defined in pairs if is_defined]


def annotate(inspected: Inspected, names: Sequence[str], grid: Grid) -> AnnotatedCase:
    """The named landmarks of a case, also in the frame of its working volume.

    Args:
        inspected: The case.
        names: Landmarks in the order of the model; what the case lacks comes undefined.
        grid: Working grid.
    """
    landmarks = inspected.landmarks.select(names)
    positions_mm = to_grid_mm(inspected.header, landmarks.positions_world, grid)
    return AnnotatedCase(inspected.case, landmarks, torch.from_numpy(positions_mm).float())


def to_grid_mm(header: Header, points_world: np.ndarray, grid: Grid) -> np.ndarray:
    """Grid mm [..., 3] of world points, in the working volume of an image with this header."""
    shape, affine = header
    return world_to_mm(points_world, grid_affine(affine, shape, grid), grid)

"""Inspection: headers and landmarks of the cases of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64

from pin_lightning.common.geometry import Grid, grid_affine, world_to_mm
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.names import did_you_mean
from pin_lightning.common.spelling import one_spelling
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.cases import Case
from pin_lightning.data.images.reading import Header, read_header


@dataclass(frozen=True, eq=False)
class Inspected:
    """A case with its header and landmarks.

    Attributes:
        case: The case.
        header: Shape and affine of the image as stored.
        landmarks: All landmarks of its file, in the file's order.
    """

    case: Case
    header: Header
    landmarks: LandmarkSet


@dataclass(frozen=True, eq=False)
class AnnotatedCase:
    """A case with the landmarks to localise, in both frames.

    Attributes:
        case: The case.
        landmarks: Landmarks in world RAS+ mm, in the order of the model.
        landmarks_mm: The same positions in grid millimetres [L, 3], NaN where undefined.
    """

    case: Case
    landmarks: LandmarkSet
    landmarks_mm: Float[Tensor, "L 3"]

    def within(self, affine: Float64[np.ndarray, "4 4"], grid: Grid) -> "AnnotatedCase":
        """The case in another working volume."""
        return replace(self, landmarks_mm=_grid_mm(self.landmarks, affine, grid))


def inspect_cases(cases: Sequence[Case]) -> tuple[list[Inspected], dict[str, str]]:
    """Read header and landmarks of every case.

    Returns:
        The cases that could be read, and the error messages of the others by case name.
    """
    inspected, failures = [], {}
    for case in cases:
        try:
            if case.read is None:
                raise ValueError(f"{case.image}: has no landmarks; add them or leave it out")
            inspected.append(Inspected(case, read_header(case.image), case.read()))
        except ValueError as error:
            failures[case.name] = str(error)
    return inspected, failures


def choose_landmarks(
    inspected: Sequence[Inspected], wanted: Sequence[str | int] | None = None
) -> tuple[str, ...]:
    """Names of the landmarks to localise.

    Args:
        inspected: The cases; each may lack some landmarks.
        wanted: Names to localise, in this order (YAML reads a bare 1 as a number); None takes all
            that have a position in some case, in order of appearance.

    Raises:
        ValueError: One of the names, or with None each of them, has a position in no case.
    """
    found = dict.fromkeys(name for one in inspected for name in one.landmarks.names)
    placed = {name for one in inspected for name in one.landmarks.defined_names}
    known = [name for name in found if name in placed]
    chosen = (
        tuple(known or found)
        if wanted is None
        else tuple(one_spelling(str(name)) for name in wanted)
    )
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


def annotate(
    inspected: Inspected,
    names: Sequence[str],
    grid: Grid,
    affine: Float64[np.ndarray, "4 4"] | None = None,
) -> AnnotatedCase:
    """Select the named landmarks of a case and convert them to grid mm; absent ones are NaN.

    Args:
        inspected: The case.
        names: Landmarks.
        grid: Working grid.
        affine: Affine of its working volume; by default along the axes of the image.
    """
    landmarks = inspected.landmarks.select(names)
    if affine is None:
        shape, image_affine = inspected.header
        affine = grid_affine(image_affine, shape, grid)
    return AnnotatedCase(inspected.case, landmarks, _grid_mm(landmarks, affine, grid))


def _grid_mm(
    landmarks: LandmarkSet, affine: Float64[np.ndarray, "4 4"], grid: Grid
) -> Float[Tensor, "L 3"]:
    return torch.from_numpy(world_to_mm(landmarks.positions_world, affine, grid)).float()


def to_grid_mm(header: Header, points_world: np.ndarray, grid: Grid) -> np.ndarray:
    """Grid mm [..., 3] of world points, in the working volume of an image with this header."""
    shape, affine = header
    return world_to_mm(points_world, grid_affine(affine, shape, grid), grid)

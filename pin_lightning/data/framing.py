"""Frames of working volumes: along the axes of the images, or in the anatomical frame.

Alternatives behind one Protocol, from which a training chooses (``pose`` in its config).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from nibabel.affines import voxel_sizes

from pin_lightning.common.geometry import Grid, grid_affine, world_to_mm
from pin_lightning.data.anatomy import (
    FEWEST_LANDMARKS,
    Anatomy,
    PoseSpread,
    anatomy_grid,
    anatomy_of,
    posed_affine,
)
from pin_lightning.data.inspection import Inspected
from pin_lightning.data.intensity_windows import DEFAULT_WINDOW, ROBUST_WINDOW
from pin_lightning.data.preprocessing import LONGEST_SIDE, suggest_grid
from pin_lightning.data.scan_levels import scan_to_world

log = logging.getLogger(__name__)

Affine = Float64[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class Framed:
    """Working grid of a data set, and where each case's working volume lies.

    Attributes:
        grid: Working grid.
        affines: Working ijk to world RAS+ mm, by case name.
        anatomy: The anatomical frame; None along the axes of the images.
        spread: How much the poses of the cases differ, where it was looked at.
        errors: Messages of cases that have no place in the frame.
    """

    grid: Grid
    affines: Mapping[str, Affine]
    anatomy: Anatomy | None = None
    spread: PoseSpread | None = None
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def window(self) -> str:
        """Rule of the intensity window: one that hardly follows the field of view, after a pose."""
        return DEFAULT_WINDOW if self.anatomy is None else ROBUST_WINDOW


@runtime_checkable
class Framing(Protocol):
    """Chooses the frame of the working volumes."""

    def __call__(
        self,
        inspected: Sequence[Inspected],
        spacing_mm: float | int | None,
        size: Sequence[int] | None,
    ) -> Framed:
        """Choose grid and affines of all cases; spacing and size may be given."""
        ...


class AsScanned:
    """Along the axes of the image, about its centre."""

    def __call__(
        self,
        inspected: Sequence[Inspected],
        spacing_mm: float | int | None,
        size: Sequence[int] | None,
    ) -> Framed:
        """Choose grid and affines by the headers."""
        grid = suggest_grid([one.header for one in inspected], spacing_mm, size)
        affines = {one.case.name: header_affine(one, grid) for one in inspected}
        return Framed(grid, affines)


@dataclass(frozen=True, eq=False)
class InAnatomy:
    """In the anatomical frame, each case by its landmarks, with an error as of a found pose.

    Attributes:
        with_scale: Bring scans to one size; None does where they differ by more than 10 %.
        anatomy: Frame of an earlier pose stage; None defines one.
    """

    with_scale: bool | None = None
    anatomy: Anatomy | None = None

    def __call__(
        self,
        inspected: Sequence[Inspected],
        spacing_mm: float | int | None,
        size: Sequence[int] | None,
    ) -> Framed:
        """Choose grid and affines by the landmarks; as scanned where there are fewer than 3."""
        names = _placed_names(inspected) if self.anatomy is None else self.anatomy.names
        if len(names) < FEWEST_LANDMARKS:
            log.warning(
                "pose=find: a pose needs at least %d landmarks, there is %d; as scanned instead",
                *(FEWEST_LANDMARKS, len(names)),
            )
            return AsScanned()(inspected, spacing_mm, size)
        shapes = {one.case.name: scan_landmarks(one, names) for one in inspected}
        few = {name: _known(shape) for name, shape in shapes.items()}
        errors = {
            name: f"has {known} landmarks, a pose needs {FEWEST_LANDMARKS}; place more, or give "
            f"pose=as_scanned"
            for name, known in few.items()
            if known < FEWEST_LANDMARKS
        }
        posed = [shape for name, shape in shapes.items() if name not in errors]
        if not posed:
            log.warning("pose=find: no case has %d landmarks; as scanned instead", FEWEST_LANDMARKS)
            return AsScanned()(inspected, spacing_mm, size)
        whole = np.stack(posed)
        spread = None
        anatomy = self.anatomy
        if anatomy is None:
            anatomy, spread = anatomy_of(whole, names, self.with_scale)
        sides_mm = [float(voxel_sizes(one.header[1]).min()) for one in inspected]
        own_mm = float(np.median(sides_mm))
        grid = anatomy_grid(anatomy, whole, own_mm, LONGEST_SIDE, spacing_mm, size)
        affines = {}
        for one in inspected:
            name, (shape, affine) = one.case.name, one.header
            if name in errors:
                affines[name] = header_affine(one, grid)
                continue
            pose = anatomy.jittered(anatomy.pose_of(shapes[name]), name)
            affines[name] = posed_affine(pose, scan_to_world(affine, shape), grid)
        return Framed(grid, affines, anatomy, spread, errors)


@dataclass(frozen=True)
class ByLandmarks:
    """In the anatomical frame where the poses of the cases differ, else along the images' axes.

    Attributes:
        covered_degrees: Rotation of a case from the mean up to which the training covers it.
        found: Framing where they differ.
    """

    covered_degrees: float
    found: InAnatomy

    def __call__(
        self,
        inspected: Sequence[Inspected],
        spacing_mm: float | int | None,
        size: Sequence[int] | None,
    ) -> Framed:
        """Choose by how much the cases are turned against each other."""
        if len(_placed_names(inspected)) < FEWEST_LANDMARKS:
            return AsScanned()(inspected, spacing_mm, size)
        framed = self.found(inspected, spacing_mm, size)
        if framed.spread is None:
            return framed
        turned = (framed.spread.largest_degrees, self.covered_degrees)
        if framed.spread.largest_degrees > self.covered_degrees:
            log.info("pose=auto: scans turned up to %.0f degrees, %.0f covered: find", *turned)
            return framed
        log.info("pose=auto: scans turned up to %.0f degrees, %.0f covered: as_scanned", *turned)
        straight = AsScanned()(inspected, spacing_mm, size)
        return Framed(straight.grid, straight.affines, None, framed.spread)


def header_affine(inspected: Inspected, grid: Grid) -> Affine:
    """Working ijk to world of a case along the axes of its image."""
    shape, affine = inspected.header
    return grid_affine(affine, shape, grid)


def scan_landmarks(inspected: Inspected, names: Sequence[str]) -> Float64[np.ndarray, "L 3"]:
    """Landmarks in mm from the centre of the scan along its axes, NaN where undefined."""
    unit = Grid((1, 1, 1), 1.0)
    points_world = inspected.landmarks.select(names).positions_world
    return world_to_mm(points_world, header_affine(inspected, unit), unit)


def _placed_names(inspected: Sequence[Inspected]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in inspected for name in one.landmarks.defined_names))


def _known(shape_mm: Float64[np.ndarray, "L 3"]) -> int:
    return int(np.isfinite(shape_mm).all(axis=1).sum())

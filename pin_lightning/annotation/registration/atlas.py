"""Annotated scans as atlases: their landmarks carried over to another scan, and fused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from nibabel.affines import voxel_sizes

from pin_lightning.annotation.registration.orientation import Placed, find_place
from pin_lightning.annotation.registration.scan import RegisteredScan, read_scan
from pin_lightning.baselines.deformation import (
    affine_of,
    box_about,
    carried,
    cropped,
    extent_of,
    fit_affine,
    fit_deformation,
    fuse,
)
from pin_lightning.common.alignment import Pose, fit_pose
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.images.reading import read_header
from pin_lightning.data.scan_levels import placed, scan_to_world

MOST_ATLASES = 4
# Spacings as shares of the anatomy's extent: of the rotation search, of the affine, of the rest.
SPACINGS = (1 / 24, 1 / 56, 1 / 128)
FEWEST_COMMON = 4  # landmarks of two atlases by which one is placed as the other


@dataclass(frozen=True, eq=False)
class Atlas:
    """An annotated scan.

    Attributes:
        scan: Its levels.
        spacings_mm: Their spacings.
        points_mm: Landmarks in scan mm [L, 3]; NaN where missing.
        extent_mm: Extent of the anatomy.
    """

    scan: RegisteredScan
    spacings_mm: tuple[float, ...]
    points_mm: Float64[np.ndarray, "L 3"]
    extent_mm: float

    @property
    def centre_mm(self) -> Float64[np.ndarray, " 3"]:
        """Centre of the box about its landmarks."""
        return (np.nanmin(self.points_mm, axis=0) + np.nanmax(self.points_mm, axis=0)) / 2

    @property
    def radius_mm(self) -> float:
        """Radius of a ball about its landmarks."""
        apart = np.linalg.norm(self.points_mm - self.centre_mm, axis=1)
        return float(max(1.1 * np.nanmax(apart), self.extent_mm / 2))


@dataclass(frozen=True, eq=False)
class Proposal:
    """Landmarks of a scan, carried over from atlases.

    Attributes:
        names: Their names.
        positions_world: World RAS+ mm [L, 3]; NaN where no atlas has one.
        spread_mm: Doubt about each: how far atlases are apart; NaN with only one.
        uncertain: Whether the scan may lie otherwise than was found.
    """

    names: tuple[str, ...]
    positions_world: Float64[np.ndarray, "L 3"]
    spread_mm: Float64[np.ndarray, " L"]
    uncertain: bool


def read_atlas(path: Path, landmarks: LandmarkSet, names: Sequence[str]) -> Atlas:
    """Read an annotated scan.

    Raises:
        ValueError: It cannot be read, or has none of the landmarks.
    """
    shape, affine = read_header(path)
    chosen = landmarks.select(names)
    to_world = scan_to_world(affine, shape)
    points_mm = np.where(chosen.defined[:, None], placed(chosen.positions_world, to_world), np.nan)
    if not chosen.defined.any():
        raise ValueError(f"{path}: has none of the landmarks; annotate some first")
    extent_mm = extent_of(points_mm, float((voxel_sizes(affine) * shape).max()))
    spacings = tuple(share * extent_mm for share in SPACINGS)
    return Atlas(read_scan(path, spacings), spacings, points_mm, extent_mm)


def propose(path: Path, atlases: Sequence[Atlas], names: Sequence[str]) -> Proposal:
    """Propose landmarks of a scan in any orientation.

    Args:
        path: The scan.
        atlases: One to four annotated scans.
        names: Names of their landmarks.

    Raises:
        ValueError: The scan cannot be read.
    """
    scans = [read_scan(path, atlas.spacings_mm) for atlas in atlases]
    place, by = _place(atlases, scans)
    found = [
        scan.place(_carried_over(atlas, scan, _pose_of(atlas, by, place.pose)))
        for atlas, scan in zip(atlases, scans, strict=True)
    ]
    positions, spread = fuse(np.stack(found))
    return Proposal(tuple(names), positions, spread, place.uncertain)


def _place(atlases: Sequence[Atlas], scans: Sequence[RegisteredScan]) -> tuple[Placed, Atlas]:
    """Where the first atlas whose place is certain lies, else the one with the largest lead."""
    best: tuple[Placed, Atlas] | None = None
    for atlas, scan in zip(atlases, scans, strict=True):
        coarse = atlas.scan.levels[0], scan.levels[0]
        place = find_place(*coarse, atlas.centre_mm, atlas.radius_mm)
        if best is None or place.lead > best[0].lead:
            best = place, atlas
        if not place.uncertain:
            return place, atlas
    assert best is not None
    return best


def _pose_of(atlas: Atlas, other: Atlas, pose: Pose) -> Pose:
    """Pose of an atlas, by that of another one and their landmarks."""
    common = np.isfinite(atlas.points_mm + other.points_mm).all(axis=1)
    if atlas is other or int(common.sum()) < FEWEST_COMMON:
        return pose
    return pose.after(fit_pose(atlas.points_mm, other.points_mm, with_scale=True))


def _carried_over(atlas: Atlas, scan: RegisteredScan, pose: Pose) -> Float64[np.ndarray, "L 3"]:
    """Landmarks of an atlas in scan mm of a scan in which it has a pose."""
    _, middle, fine = zip(atlas.scan.levels, scan.levels, strict=True)
    low, high = box_about(atlas.points_mm, atlas.extent_mm)
    begin = affine_of(pose, atlas.centre_mm)
    affine = fit_affine(cropped(middle[0], low, high), middle[1], begin)
    bend = fit_deformation(cropped(fine[0], low, high), fine[1], affine)
    return carried(bend, atlas.points_mm)


def predicted(proposal: Proposal) -> Mapping[str, tuple[float, float, float]]:
    """Positions by name, of those that were found."""
    rows = zip(proposal.names, proposal.positions_world.tolist(), strict=True)
    return {name: (x, y, z) for name, (x, y, z) in rows if np.isfinite((x, y, z)).all()}

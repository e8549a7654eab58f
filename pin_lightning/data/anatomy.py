"""The anatomical frame: where working volumes of scans in any pose are resampled to.

It is defined by a reference shape, the Procrustes mean of the annotated cases. Where the scans lie
much alike it keeps their mean orientation, else it stands along the principal axes of the shape.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import (
    Pose,
    align_shapes,
    fit_pose,
    nearest_rotation,
    rotation_degrees,
)
from pin_lightning.common.geometry import Grid

SIZES_DIFFER = 1.1  # largest size of a shape divided by the smallest, from which sizes are found
ALIKE = (
    0.85  # smallest singular value of the mean rotation matrix of scans that lie alike: 30 degrees
)
# The factor of the mean size within which sizes are found: that of the training shapes times the
# first, but at least the second (so far go the samples of poses), at most the third.
SPARE_SIZE, LEAST_SCALE, MOST_SCALE = 1.2, 1.35, 4.0
MARGIN = 0.15  # around the anatomy, as a share of its largest extent
FEWEST_LANDMARKS = 3  # of a case, to have a pose
# SD of the errors of poses that the pose stage finds: rotation about each axis, shift along it.
JITTER_DEGREES, JITTER_SHARE = 1.2, 0.006

Shapes = Float64[np.ndarray, "M L 3"]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The anatomical frame of a data set.

    Attributes:
        names: Landmarks of the reference shape.
        reference_mm: Reference shape in the frame, whose origin is the centre of the anatomy.
        largest_scale: Where shapes differ in size, scans are brought to one size, too, which lies
            within this factor of the reference shape's; else 1.
    """

    names: tuple[str, ...]
    reference_mm: Float64[np.ndarray, "L 3"]
    largest_scale: float = 1.0

    @property
    def with_scale(self) -> bool:
        """Whether scans are brought to one size."""
        return self.largest_scale > 1

    @property
    def extent_mm(self) -> float:
        """Largest distance between two landmarks of the reference shape."""
        return float(pdist(self.reference_mm).max())

    def pose_of(self, shape_mm: Float64[np.ndarray, "L 3"]) -> Pose:
        """Pose of a case in its scan, from its landmarks in scan mm."""
        return fit_pose(self.reference_mm, shape_mm, with_scale=self.with_scale)

    def known_pose_of(self, shape_mm: Float64[np.ndarray, "L 3"]) -> Pose | None:
        """Pose of a case, None where it has too few landmarks."""
        known = int(np.isfinite(shape_mm).all(axis=1).sum())
        return self.pose_of(shape_mm) if known >= FEWEST_LANDMARKS else None

    def jittered(self, pose: Pose, case: str) -> Pose:
        """Pose with an error as the pose stage makes, always the same for a case of a name."""
        seed = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big")
        generator = np.random.default_rng(seed)
        angles = np.radians(JITTER_DEGREES) * generator.standard_normal(3)
        shift_mm = JITTER_SHARE * self.extent_mm * generator.standard_normal(3)
        return pose.after(Pose(Rotation.from_rotvec(angles).as_matrix(), shift_mm))


@dataclass(frozen=True)
class PoseSpread:
    """How much the poses of the cases differ.

    Attributes:
        largest_degrees: Largest rotation of a case from the mean orientation.
        median_degrees: Median of these.
        size_ratio: Largest size divided by the smallest.
    """

    largest_degrees: float
    median_degrees: float
    size_ratio: float


def anatomy_of(
    shapes_mm: Shapes, names: Sequence[str], with_scale: bool | None = None
) -> tuple[Anatomy, PoseSpread]:
    """Define the anatomical frame by the shapes of all cases, in mm of their scans.

    Args:
        shapes_mm: Shapes, NaN where a landmark is missing.
        names: Names of their landmarks.
        with_scale: Bring shapes to one size; None does where sizes differ by more than 10 %.

    Raises:
        ValueError: A case has too few landmarks.
    """
    mean_mm, poses = align_shapes(shapes_mm, with_scale=True)
    scales = np.array([pose.scale for pose in poses])
    ratio = float(scales.max() / scales.min())
    with_scale = ratio > SIZES_DIFFER if with_scale is None else with_scale
    if not with_scale:
        mean_mm, poses = align_shapes(shapes_mm)
    average = np.mean([pose.rotation for pose in poses], axis=0)
    nearest = nearest_rotation(average)
    turns = np.array([rotation_degrees(pose.rotation, nearest) for pose in poses])
    alike = np.linalg.svd(average, compute_uv=False).min() >= ALIKE
    upright_mm = mean_mm @ (nearest if alike else _principal(mean_mm, nearest)).T
    centre_mm = (np.nanmax(upright_mm, axis=0) + np.nanmin(upright_mm, axis=0)) / 2
    farthest = SPARE_SIZE * float(np.exp(np.abs(np.log(scales)).max()))
    largest_scale = float(np.clip(farthest, LEAST_SCALE, MOST_SCALE)) if with_scale else 1.0
    anatomy = Anatomy(tuple(names), upright_mm - centre_mm, largest_scale)
    return anatomy, PoseSpread(float(turns.max()), float(np.median(turns)), ratio)


def _principal(
    shape_mm: Float64[np.ndarray, "L 3"], nearest: Float64[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "3 3"]:
    """Rotation that puts the principal axes of a shape along x, y and z.

    Of the 24 such rotations, the one closest to another rotation.
    """
    known = shape_mm[np.isfinite(shape_mm).all(axis=1)]
    axes = np.linalg.svd(known - known.mean(axis=0), full_matrices=True)[2]
    axes[2] *= np.linalg.det(axes)
    turns = Rotation.create_group("O").as_matrix() @ axes
    return turns[np.argmin([rotation_degrees(turn, nearest) for turn in turns])]


def anatomy_grid(
    anatomy: Anatomy,
    shapes_mm: Shapes,
    own_spacing_mm: float,
    longest_side: int,
    spacing_mm: float | int | None = None,
    size: Sequence[int] | None = None,
) -> Grid:
    """Choose the working grid of the anatomical frame: the anatomy and a margin.

    The spacing is the images' own, or the anatomy's largest side divided by the limit where that is
    larger, rounded to two significant digits.

    Args:
        anatomy: The frame.
        shapes_mm: Shapes of all cases, in mm of their scans.
        own_spacing_mm: Usual finest voxel side of the images.
        longest_side: Most voxels along the anatomy's longest side.
        spacing_mm: Voxel side in mm; None chooses it.
        size: Voxels along x, y, z; None chooses them.
    """
    aligned = np.stack([anatomy.pose_of(one).inverse().place(one) for one in shapes_mm])
    # The frame's origin is the middle of the grid: both sides hold the farther one.
    reach_mm = np.nanmax(np.abs(aligned), axis=(0, 1))
    if spacing_mm is None:
        finest = max(own_spacing_mm, float(2 * reach_mm.max()) / longest_side)
        spacing_mm = float(f"{finest:.2g}")
    Grid((1, 1, 1), float(spacing_mm))  # validates the spacing
    if size is None:
        sides_mm = 2 * (reach_mm + MARGIN * anatomy.extent_mm)
        size = [int(side) for side in np.ceil(sides_mm / spacing_mm)]
    if len(size) != 3:
        raise ValueError(f"data.grid_size={list(size)}: give three numbers of voxels")
    return Grid((size[0], size[1], size[2]), float(spacing_mm))


def posed_affine(
    pose: Pose, to_world: Float64[np.ndarray, "4 4"], grid: Grid
) -> Float64[np.ndarray, "4 4"]:
    """Working ijk to world RAS+ mm of a working volume in the anatomical frame.

    Args:
        pose: From anatomical mm to scan mm.
        to_world: From scan mm to world RAS+ mm.
        grid: Working grid.
    """
    to_anatomy = np.diag([grid.spacing_mm] * 3 + [1.0])
    to_anatomy[:3, 3] = grid.ijk_to_mm(np.zeros(3))
    return to_world @ pose.matrix @ to_anatomy

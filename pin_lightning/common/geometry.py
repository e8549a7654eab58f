"""Frames and affines: conversions between world, grid millimetres and voxel index."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import nibabel.orientations as orientations
import numpy as np
import torch
from jaxtyping import Float, Float64, Num
from nibabel.affines import apply_affine, voxel_sizes
from scipy.linalg import polar

Points = TypeVar("Points", np.ndarray, torch.Tensor)
Vector: TypeAlias = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Grid:
    """The isotropic grid that every volume is resampled to.

    Attributes:
        size: Voxels along x, y, z.
        spacing_mm: Voxel side in mm.

    >>> Grid((11, 21, 31), 0.5).ijk_to_mm(np.array([0.0, 10.0, 30.0]))
    array([-2.5,  0. ,  7.5])
    """

    size: tuple[int, int, int]
    spacing_mm: float

    def __post_init__(self) -> None:
        """Validate size and spacing."""
        if len(self.size) != 3 or not all(side >= 1 for side in self.size):
            raise ValueError(f"data.grid_size={self.size}: give three positive numbers of voxels")
        if not (np.isfinite(self.spacing_mm) and self.spacing_mm > 0):
            raise ValueError(f"data.spacing_mm={self.spacing_mm}: give a positive number of mm")

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Sides of the volume in mm, from outer face to outer face."""
        x, y, z = (side * self.spacing_mm for side in self.size)
        return x, y, z

    def mm_to_ijk(self, points_mm: Points) -> Points:
        """Voxel indices [..., 3] of points given in grid mm [..., 3]."""
        return points_mm / self.spacing_mm + self._centre_ijk(points_mm)

    def ijk_to_mm(self, points_ijk: Points) -> Points:
        """Grid mm [..., 3] of points given as voxel indices [..., 3]."""
        return (points_ijk - self._centre_ijk(points_ijk)) * self.spacing_mm

    def _centre_ijk(self, like: Points) -> Points:
        if isinstance(like, torch.Tensor):
            dtype = like.dtype if like.is_floating_point() else torch.get_default_dtype()
            exporting = torch.compiler.is_exporting()  # its tensors must not be cached
            make = _centre_tensor.__wrapped__ if exporting else _centre_tensor
            return make(self.size, dtype, like.device)
        return (np.array(self.size) - 1) / 2


@functools.cache  # copied to a GPU once: each copy would synchronise
def _centre_tensor(
    size: tuple[int, int, int], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    # torch.tensor of a list cannot be traced in a loop of an exported graph.
    centre = [torch.full((1,), (side - 1) / 2, dtype=dtype, device=device) for side in size]
    return torch.cat(centre)


def flip_lps_ras(points: Num[np.ndarray, "*rest 3"]) -> Float64[np.ndarray, "*rest 3"]:
    """Negate x and y: LPS to RAS, and RAS to LPS.

    >>> flip_lps_ras(np.array([1.0, -2.0, 3.0]))
    array([-1.,  2.,  3.])
    """
    return np.asarray(points, dtype=np.float64) * np.array([-1.0, -1.0, 1.0])


def canonical_axes(affine: Num[np.ndarray, "4 4"]) -> Float64[np.ndarray, "3 2"]:
    """Order and direction of an image's axes closest to RAS, as `nibabel.orientations` takes them.

    They are those of the rotation closest to the affine.

    Raises:
        ValueError: The affine is singular or not finite.
    """
    rotated = _checked(affine).copy()
    rotated[:3, :3] = _closest_rotation(rotated[:3, :3])
    axes: Float64[np.ndarray, "3 2"] = orientations.io_orientation(rotated)
    return axes


def canonical_affine(
    affine: Num[np.ndarray, "4 4"], shape: Sequence[int]
) -> tuple[Float64[np.ndarray, "4 4"], tuple[int, int, int]]:
    """Affine and shape of an image after its axes are reordered and flipped closest to RAS.

    Args:
        affine: Voxel index to world RAS+ mm.
        shape: Voxels along the image's own axes.

    Returns:
        Affine and shape of the reordered image; oblique directions stay oblique.

    Raises:
        ValueError: The affine is singular or not finite.
    """
    matrix = _checked(affine)
    sizes = tuple(int(side) for side in shape)
    axes = canonical_axes(matrix)
    reordered = matrix @ orientations.inv_ornt_aff(axes, sizes)
    order = np.argsort(axes[:, 0])
    return reordered, (sizes[order[0]], sizes[order[1]], sizes[order[2]])


def grid_affine(
    image_affine: Num[np.ndarray, "4 4"], image_shape: Sequence[int], grid: Grid
) -> Float64[np.ndarray, "4 4"]:
    """Affine of an image's working volume: working ijk to world RAS+ mm.

    The working volume has the image's axes, reordered and flipped closest to RAS, the grid's
    isotropic spacing, and the image's physical centre. Oblique axes stay oblique: shapes are learnt
    along the axes of the image. A sheared affine is replaced by the closest rotation.

    Args:
        image_affine: Voxel index of the image to world RAS+ mm.
        image_shape: Voxels along the image's own axes.
        grid: Working grid.

    Raises:
        ValueError: The affine is singular or not finite.
    """
    canonical, shape = canonical_affine(image_affine, image_shape)
    centre_world = apply_affine(canonical, (np.array(shape) - 1) / 2)
    affine = np.eye(4)
    affine[:3, :3] = _closest_rotation(canonical[:3, :3]) * grid.spacing_mm
    affine[:3, 3] = centre_world - affine[:3, :3] @ ((np.array(grid.size) - 1) / 2)
    return affine


def times_as_long(
    image_affine: Num[np.ndarray, "4 4"], image_shape: Sequence[int], grid: Grid
) -> float:
    """Longest side of an image, as a multiple of the longest side of the grid.

    >>> times_as_long(np.diag([2.0, 1, 1, 1]), (100, 50, 50), Grid((50, 50, 50), 2.0))
    2.0
    """
    sides_mm = voxel_sizes(image_affine) * np.array(image_shape)
    return float(sides_mm.max() / max(grid.extent_mm))


def world_to_mm(
    points_world: Num[np.ndarray, "*rest 3"], affine: Num[np.ndarray, "4 4"], grid: Grid
) -> Float64[np.ndarray, "*rest 3"]:
    """Grid mm of world points, given the affine of the working volume (from `grid_affine`)."""
    return grid.ijk_to_mm(apply_affine(np.linalg.inv(affine), points_world))


def mm_to_world(
    points_mm: Num[np.ndarray, "*rest 3"], affine: Num[np.ndarray, "4 4"], grid: Grid
) -> Float64[np.ndarray, "*rest 3"]:
    """World RAS+ mm of points in grid mm, given the affine of the working volume."""
    return apply_affine(affine, grid.mm_to_ijk(np.asarray(points_mm, dtype=np.float64)))


def itk_affine(
    origin_lps: Vector, spacing_mm: Vector, direction_lps: Vector
) -> Float64[np.ndarray, "4 4"]:
    """Affine (voxel index to world RAS+ mm) from ITK's origin, spacing and direction in LPS.

    Args:
        origin_lps: Centre of the first voxel [3].
        spacing_mm: Voxel sides [3].
        direction_lps: Unit vectors of the image's axes as the columns of a matrix, row by row [9].
    """
    affine = np.eye(4)
    axes_lps = np.reshape(direction_lps, (3, 3)) * np.asarray(spacing_mm)
    affine[:3, :3] = flip_lps_ras(axes_lps.T).T
    affine[:3, 3] = flip_lps_ras(np.asarray(origin_lps))
    return affine


def corner_distance_mm(
    affine: Num[np.ndarray, "4 4"], other: Num[np.ndarray, "4 4"], shape: Sequence[int]
) -> float:
    """Largest distance between the places of a corner voxel under two affines."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape) - 1)
    apart = apply_affine(affine, corners) - apply_affine(other, corners)
    return float(np.linalg.norm(apart, axis=1).max())


def _checked(affine: Num[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    matrix = np.asarray(affine, dtype=np.float64)
    sides = voxel_sizes(matrix)
    # The determinant of unit columns: small voxels are not singular.
    if (
        not np.isfinite(matrix).all()
        or (sides == 0).any()
        or abs(np.linalg.det(matrix[:3, :3] / sides)) < 1e-3
    ):
        raise ValueError(f"image affine {matrix[:3].tolist()} is singular: correct the header")
    return matrix


def _closest_rotation(matrix: Float[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    """Orthonormal directions closest to the unit columns of a matrix."""
    return polar(matrix / np.linalg.norm(matrix, axis=0))[0]

"""Whole scans at coarse spacings, in which the pose stage looks for the anatomy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Num, UInt8
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import apply_orientation

from pin_lightning.common.geometry import Grid, canonical_affine, canonical_axes, grid_affine
from pin_lightning.data.intensity_windows import rescale

MOST_VOXELS = 2**28  # of a level
SLAB = 2**24  # voxels that are converted to float at once


@dataclass(frozen=True, eq=False)
class ScanLevels:
    """A scan at coarse spacings.

    Attributes:
        levels: 0 to 255 [X, Y, Z] for each spacing, about the centre of the scan, along its axes
            in the order closest to RAS.
        to_world: Scan mm (from the centre, along these axes) to world RAS+ mm.
    """

    levels: tuple[UInt8[torch.Tensor, "_ _ _"], ...]
    to_world: Float64[np.ndarray, "4 4"]


def scan_to_world(
    affine: Num[np.ndarray, "4 4"], shape: Sequence[int]
) -> Float64[np.ndarray, "4 4"]:
    """Map from scan mm to world RAS+ mm, of an image with this header."""
    return grid_affine(affine, shape, Grid((1, 1, 1), 1.0))


def scan_levels(
    voxels: Num[np.ndarray, "X Y Z"],
    affine: Num[np.ndarray, "4 4"],
    window: tuple[float, float],
    spacings_mm: Sequence[float],
) -> ScanLevels:
    """Resample a whole scan to coarse spacings.

    Each voxel is a mean weighted by a triangle as wide as the coarser of the two spacings. A large
    scan is converted slab by slab.

    Args:
        voxels: Intensities along the image's own axes.
        affine: Voxel index to world RAS+ mm.
        window: Intensities that become 0 and 255.
        spacings_mm: Spacings, finest first.

    Raises:
        ValueError: The finest level would have more than `MOST_VOXELS` voxels.
    """
    canonical, _ = canonical_affine(affine, voxels.shape)
    ordered = apply_orientation(voxels, canonical_axes(affine))
    sides_mm = voxel_sizes(canonical)
    finest = _shrunk(ordered, window, sides_mm, spacings_mm[0])
    levels = [finest]
    for spacing_mm in spacings_mm[1:]:
        sides = np.full(3, spacings_mm[0])
        levels.append(_shrunk(finest, (0.0, 255.0), sides, spacing_mm))
    tensors = tuple(torch.from_numpy(_whole(level)) for level in levels)
    return ScanLevels(tensors, scan_to_world(affine, voxels.shape))


def _whole(level: Float32[np.ndarray, "X Y Z"]) -> UInt8[np.ndarray, "X Y Z"]:
    return np.clip(np.rint(level), 0, 255).astype(np.uint8)


def _shrunk(
    voxels: Num[np.ndarray, "X Y Z"],
    window: tuple[float, float],
    sides_mm: Num[np.ndarray, " 3"],
    spacing_mm: float,
) -> Float32[np.ndarray, "X2 Y2 Z2"]:
    """Rescale and resample an array, slab by slab along its first axis."""
    weights = [
        line_weights(size, side, spacing_mm)
        for size, side in zip(voxels.shape, sides_mm.tolist(), strict=True)
    ]
    size = [len(one) for one in weights]
    if np.prod(size, dtype=float) > MOST_VOXELS:
        raise ValueError(f"the scan has {size} voxels of {spacing_mm:.3g} mm: crop it")
    low, high = window
    result = np.zeros(size, dtype=np.float32)
    thick = max(1, SLAB // (voxels.shape[1] * voxels.shape[2]))
    for first in range(0, voxels.shape[0], thick):
        slab = rescale(voxels[first : first + thick], low, high)
        slab = np.matmul(slab, weights[2].T)
        slab = np.matmul(weights[1], slab)
        result += np.tensordot(weights[0][:, first : first + thick], slab, axes=1)
    return result


def line_weights(size: int, side_mm: float, spacing_mm: float) -> Float32[np.ndarray, "n N"]:
    """Weights of the voxels of a line in each voxel of a resampled line with the same centre.

    >>> line_weights(4, 1.0, 2.0).round(2)
    array([[0.43, 0.43, 0.14, 0.  ],
           [0.  , 0.14, 0.43, 0.43]], dtype=float32)
    """
    count = max(1, int(np.ceil(size * side_mm / spacing_mm - 1e-3)))
    centres = (np.arange(count) - (count - 1) / 2) * spacing_mm / side_mm + (size - 1) / 2
    width = max(1.0, spacing_mm / side_mm)
    apart = np.abs(np.arange(size) - np.clip(centres, 0, size - 1)[:, None])
    weights = np.maximum(1 - apart / width, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def placed(points_world: Num[np.ndarray, "L 3"], to_world: Num[np.ndarray, "4 4"]) -> np.ndarray:
    """Scan mm of world points."""
    return apply_affine(np.linalg.inv(to_world), points_world)

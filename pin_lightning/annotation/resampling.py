"""Resampling of scans for a browser, slab by slab: memory beside the scan does not grow with it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Num
from scipy import ndimage

from pin_lightning.data.scan_levels import line_weights

SLAB = 2**23  # voxels that are converted to float at once


def shrunk(
    voxels: Num[np.ndarray, "X Y Z"], sides_mm: Sequence[float], spacing_mm: Sequence[float]
) -> Float32[np.ndarray, "X2 Y2 Z2"]:
    """Resample a scan along its axes to a coarser spacing, about the same centre.

    Each voxel is a mean weighted by a triangle as wide as the coarser of the two spacings.

    Args:
        voxels: Intensities.
        sides_mm: Voxel sides.
        spacing_mm: Voxel sides of the result.
    """
    weights = [
        line_weights(size, side, spacing)
        for size, side, spacing in zip(voxels.shape, sides_mm, spacing_mm, strict=True)
    ]
    result = np.zeros([len(one) for one in weights], dtype=np.float32)
    thick = max(1, SLAB // (voxels.shape[1] * voxels.shape[2]))
    for first in range(0, voxels.shape[0], thick):
        slab = np.asarray(voxels[first : first + thick], dtype=np.float32)
        slab = np.matmul(weights[1], np.matmul(slab, weights[2].T))
        result += np.tensordot(weights[0][:, first : first + thick], slab, axes=1)
    return result


def sampled(
    voxels: Num[np.ndarray, "X Y Z"],
    to_voxels: Float64[np.ndarray, "4 4"],
    size: tuple[int, int, int],
    outside: float,
) -> Float32[np.ndarray, "X2 Y2 Z2"]:
    """Look a scan up at the places of another grid, linearly, slab by slab.

    Args:
        voxels: Intensities.
        to_voxels: Voxel index of the grid to voxel index of the scan.
        size: Voxels of the grid.
        outside: Value outside the scan.
    """
    result = np.empty(size, dtype=np.float32)
    thick = max(1, SLAB // (size[1] * size[2]))
    for first in range(0, size[0], thick):
        slab = result[first : first + thick]
        shift = to_voxels[:3, :3] @ (first, 0, 0) + to_voxels[:3, 3]
        ndimage.affine_transform(
            voxels,
            to_voxels[:3, :3],
            shift,
            output_shape=slab.shape,
            output=slab,
            order=1,
            mode="grid-constant",  # "constant" would lose border voxels whose index rounds below 0
            cval=outside,
        )
    return result

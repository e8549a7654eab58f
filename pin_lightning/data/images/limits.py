"""Bounds on what a header may promise, checked before memory is asked for."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Num
from nibabel.affines import voxel_sizes

from pin_lightning.common.geometry import Vector

MAX_VOXELS = 2**32  # 1625 along each axis
SIDE_MM = (1e-4, 1e3)  # of a voxel: light microscopy to the coarsest survey
MAX_POSITION_MM = 1e6
GB = 10**9


def check_size(path: Path, shape: Sequence[int], voxel_bytes: int) -> None:
    """Validate that an image of this shape can be held in memory.

    Raises:
        ValueError: A side is not positive, or the voxels are too many.
    """
    said = f"{path}: has shape {tuple(shape)}"
    if min(shape, default=0) < 1:
        raise ValueError(f"{said}; correct the header")
    count = math.prod(shape)
    if count > MAX_VOXELS:
        raise ValueError(f"{said}, over {MAX_VOXELS} voxels; crop it or save it coarser")
    # Intensities are worked on with 4 bytes each.
    check_memory(f"{said}, which", count * max(voxel_bytes, 4), ": crop it or save it coarser")


def check_spacing(path: Path, spacing_mm: Vector) -> None:
    """Validate that voxel sides are positive, and of a size that scans have.

    Raises:
        ValueError: One is not.
    """
    sides = [float(side) for side in spacing_mm]
    if not all(np.isfinite(side) and side > 0 for side in sides):
        raise ValueError(f"{path}: voxel spacing {sides} is not positive; correct the header")
    if not all(SIDE_MM[0] <= side <= SIDE_MM[1] for side in sides):
        raise ValueError(
            f"{path}: voxel spacing {sides} is not within {SIDE_MM[0]:g} to {SIDE_MM[1]:g} mm; "
            f"correct the header"
        )


def check_place(path: Path, affine: Num[np.ndarray, "4 4"]) -> None:
    """Validate voxel sides and position of an affine in mm; not finite ones are left to others.

    Raises:
        ValueError: They are out of bounds.
    """
    if not np.isfinite(affine).all():
        return
    sides_mm = voxel_sizes(affine)
    if (sides_mm > 0).all():
        check_spacing(path, sides_mm)
    position = [float(one) for one in affine[:3, 3]]
    if max(map(abs, position)) > MAX_POSITION_MM:
        raise ValueError(
            f"{path}: its first voxel is at {position} mm, over {MAX_POSITION_MM:g} mm away; "
            f"correct the header"
        )


def check_memory(said: str, needed_bytes: float, remedy: str = "") -> None:
    """Validate that this machine has so much memory.

    Args:
        said: What needs it, for the message.
        needed_bytes: How much.
        remedy: What to do, for the end of the message.

    Raises:
        ValueError: It has less.
    """
    there = memory_bytes()
    if needed_bytes > there:
        raise ValueError(
            f"{said} needs {needed_bytes / GB:.3g} GB of memory; this machine has "
            f"{there / GB:.3g} GB{remedy}"
        )


def memory_bytes() -> float:
    """Memory of this machine."""
    if not hasattr(os, "sysconf"):  # Windows
        return math.inf
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

"""An image as its header describes it, before its voxels are read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Num


@dataclass(frozen=True, eq=False)
class StoredImage:
    """What a header says, and how the voxels are read.

    Attributes:
        shape: Voxels along the image's own axes; it may not be 3D.
        affine: Voxel index of the first three axes to world RAS+ mm.
        voxel_bytes: Bytes of a stored voxel.
        read: Reads the voxels along the image's own axes, rescaled as the header says.
    """

    shape: tuple[int, ...]
    affine: Float64[np.ndarray, "4 4"]
    voxel_bytes: int
    read: Callable[[], Num[np.ndarray, "..."]]

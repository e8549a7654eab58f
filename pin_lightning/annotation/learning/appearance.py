"""What a scan looks like, in a few numbers that do not depend on how it is turned."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Num
from nibabel.affines import voxel_sizes

from pin_lightning.common.files import whole_file
from pin_lightning.data.images.reading import read_header, read_voxels
from pin_lightning.data.intensity_windows import rescale, robust_window

QUANTILES = np.linspace(0.05, 0.95, 10)
MOST_VOXELS = 2**18  # looked at
LENGTH = len(QUANTILES) + 2


def appearance(
    voxels: Num[np.ndarray, "X Y Z"], affine: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, " F"]:
    """Quantiles of the brightness, and the logs of the finest spacing and of the size of a scan."""
    every = max(1, round((voxels.size / MOST_VOXELS) ** (1 / 3)))
    low, high = robust_window(voxels)
    bright = rescale(voxels[::every, ::every, ::every], low, high) / 255
    sides = voxel_sizes(affine)
    lengths = np.log([sides.min(), float((sides * voxels.shape).max())])
    return np.concatenate([np.quantile(bright, QUANTILES), lengths])


def kept_appearance(image: Path, kept: Path) -> Float64[np.ndarray, " F"]:
    """Appearance of a scan, read once and kept in a file.

    Raises:
        ValueError: The scan cannot be read.
    """
    with suppress(OSError, ValueError):
        found = np.load(kept, allow_pickle=False)
        if found.shape == (LENGTH,):
            return np.asarray(found, dtype=np.float64)
    found = appearance(read_voxels(image), read_header(image)[1])
    with whole_file(kept) as temporary, temporary.open("wb") as file:
        np.save(file, found)
    return found

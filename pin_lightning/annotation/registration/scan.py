"""A scan at the spacings of a registration, as SimpleITK images whose points are scan mm."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float64
from nibabel.affines import apply_affine, voxel_sizes

from pin_lightning.baselines.deformation import as_image
from pin_lightning.data.images.reading import read_header, read_voxels
from pin_lightning.data.intensity_windows import robust_window, without_metal
from pin_lightning.data.scan_levels import scan_levels

MOST_VOXELS = 320  # along a side of the finest level


@dataclass(frozen=True, eq=False)
class RegisteredScan:
    """A scan, brightness 0 to 255, about its centre.

    Attributes:
        levels: Images, the coarsest first; their physical points are scan mm.
        to_world: Scan mm to world RAS+ mm.
    """

    levels: tuple[sitk.Image, ...]
    to_world: Float64[np.ndarray, "4 4"]

    def place(self, points_mm: Float64[np.ndarray, "L 3"]) -> Float64[np.ndarray, "L 3"]:
        """World positions of points in scan mm."""
        return np.asarray(apply_affine(self.to_world, points_mm))


def read_scan(path: Path, spacings_mm: Sequence[float]) -> RegisteredScan:
    """Read a scan.

    Args:
        path: Image file, or the folder of a DICOM series.
        spacings_mm: Spacings of its levels, the coarsest first. None is finer than the scan's own,
            or than its longest side has voxels for.

    Raises:
        ValueError: It cannot be read.
    """
    affine, voxels = read_header(path)[1], read_voxels(path)
    sides_mm = voxel_sizes(affine)
    longest_mm = float(np.max(sides_mm * voxels.shape))
    least = max(float(sides_mm.min()), longest_mm / MOST_VOXELS)
    window = robust_window(voxels)
    seen = without_metal(voxels, window)
    finest_first = sorted({max(one, least) for one in spacings_mm})
    found = scan_levels(seen, affine, window, finest_first)
    of_spacing = dict(zip(finest_first, found.levels, strict=True))
    levels = (of_spacing[max(one, least)] for one in spacings_mm)
    images = [as_image(one, max(mm, least)) for one, mm in zip(levels, spacings_mm, strict=True)]
    return RegisteredScan(tuple(images), found.to_world)

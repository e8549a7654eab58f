"""Preprocessing of an image to its working volume: intensity window, smoothing, resampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, Num, UInt8
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pin_lightning.common.geometry import Grid, canonical_affine, grid_affine
from pin_lightning.data.images.reading import Header, read_header, read_voxels
from pin_lightning.data.intensity_windows import (
    DEFAULT_WINDOW,
    ROBUST_WINDOW,
    WINDOWS,
    rescale,
    without_metal,
)
from pin_lightning.data.volume_facts import VolumeFacts, voxel_digest

PREPROCESSING_VERSION = 3  # part of every cache file's name; increment when results change
# Most voxels along the longest side, unless a spacing is given: a patch of a fixed number of voxels
# should span a good part of the anatomy.
LONGEST_SIDE = 160
NIFTI_HEADER = 352  # bytes before the voxels


@dataclass(frozen=True)
class WorkingVolume:
    """An image resampled to the working grid, with rescaled intensity.

    Attributes:
        intensity: 0 to 255 [X, Y, Z].
        affine: Working ijk to world RAS+ mm.
        grid: Size and spacing.
        facts: Intensity window and digest of the original image.
    """

    intensity: UInt8[torch.Tensor, "X Y Z"]
    affine: Float64[np.ndarray, "4 4"]
    grid: Grid
    facts: VolumeFacts


@dataclass(frozen=True, eq=False)
class OriginalImage:
    """An image as stored.

    Attributes:
        voxels: Intensities along its own axes.
        affine: Voxel index to world RAS+ mm.
        window: Intensities that become black and white.
        rule: Rule of the window, a name in `WINDOWS`.
    """

    voxels: Num[np.ndarray, "X Y Z"]
    affine: Float64[np.ndarray, "4 4"]
    window: tuple[float, float]
    rule: str = DEFAULT_WINDOW

    @cached_property
    def seen(self) -> Num[np.ndarray, "X Y Z"]:
        """Voxels for the networks: with a robust window, without metal."""
        return (
            without_metal(self.voxels, self.window) if self.rule == ROBUST_WINDOW else self.voxels
        )


def suggest_grid(
    headers: Sequence[Header],
    spacing_mm: float | int | None = None,
    size: Sequence[int] | None = None,
) -> Grid:
    """Choose the working grid of a data set from the headers of its images.

    The spacing is the larger of the median over cases of the finest voxel side and the longest
    extent of any case divided by 160, rounded to two significant digits. The size holds the largest
    extent over cases along each axis, with the axes in the order closest to RAS.

    Args:
        headers: Shape and affine per case, from `read_header`.
        spacing_mm: Voxel side in mm; None chooses it.
        size: Voxels along x, y, z; None chooses them.

    Raises:
        ValueError: There is no header, or a given value is not positive.
    """
    if not headers:
        raise ValueError("data.root: has no images; the working grid is chosen from them")
    canonical = [canonical_affine(affine, shape) for shape, affine in headers]
    sides_mm = np.array([voxel_sizes(affine) for affine, _ in canonical])
    extent_mm = np.max(sides_mm * np.array([shape for _, shape in canonical]), axis=0)
    if spacing_mm is None:
        finest = max(float(np.median(sides_mm.min(axis=1))), float(extent_mm.max()) / LONGEST_SIDE)
        spacing_mm = float(f"{finest:.2g}")
    if size is None:
        Grid((1, 1, 1), float(spacing_mm))  # validates the spacing
        # The margin keeps 30.000001 voxels of rounding noise from becoming 31.
        size = [int(side) for side in np.ceil(extent_mm / spacing_mm - 1e-3)]
    if len(size) != 3:
        raise ValueError(f"data.grid_size={list(size)}: give three numbers of voxels")
    return Grid((size[0], size[1], size[2]), float(spacing_mm))


def read_image(path: Path, window: str = DEFAULT_WINDOW) -> OriginalImage:
    """Read an image file.

    Args:
        path: A 3D image with one channel, or the folder of a DICOM series.
        window: Rule of the intensity window, a name in `WINDOWS`.

    Raises:
        ValueError: The file cannot be read, is not 3D with one channel, is constant, or holds NaN.
    """
    affine = read_header(path)[1]  # first: it validates without reading the voxels
    voxels = read_voxels(path)
    if not np.isfinite(voxels).all():
        raise ValueError(f"{path}: some voxels are NaN or infinite; replace them by numbers")
    if voxels.min() == voxels.max():
        raise ValueError(f"{path}: all voxels are {voxels.flat[0]}; give an image with contrast")
    return OriginalImage(voxels, affine, WINDOWS[window](voxels), window)


def preprocess(
    path: Path,
    grid: Grid,
    affine: Float64[np.ndarray, "4 4"] | None = None,
    window: str = DEFAULT_WINDOW,
) -> WorkingVolume:
    """Make the working volume of an image file: `read_image`, then `resample`."""
    return resample(read_image(path, window), grid, affine)


def resample(
    image: OriginalImage, grid: Grid, affine: Float64[np.ndarray, "4 4"] | None = None
) -> WorkingVolume:
    """Make the working volume of an image.

    The ends of its intensity window become 0 and 255, what lies beyond is clipped (metal, with a
    robust window, becomes 0); then the image is resampled linearly, after a Gaussian along axes
    that lose resolution. Outside the image is 0.

    Args:
        image: The image.
        grid: Working grid.
        affine: Working ijk to world RAS+ mm, of voxels of any size and orientation; by default that
            of `grid_affine`, along the axes of the image.

    Returns:
        The volume with its affine.
    """
    import torchio as tio  # lazy: the import is slow, and a warm cache does not need it

    spacing_mm = grid.spacing_mm if affine is None else float(voxel_sizes(affine)[0])
    if affine is None:
        affine = grid_affine(image.affine, image.voxels.shape, grid)
    low, high = image.window
    scaled = rescale(image.seen, low, high)
    smoothed = antialias(scaled, voxel_sizes(image.affine), spacing_mm)
    scalar = tio.ScalarImage(tensor=torch.from_numpy(smoothed)[None], affine=image.affine)
    with torch.random.fork_rng(devices=[]):  # torchio draws random numbers nevertheless
        resampled = tio.Resample(target=(grid.size, affine))(scalar).data[0]
    intensity = resampled.round().clamp(0, 255).to(torch.uint8)
    facts = VolumeFacts(low=low, high=high, digest=voxel_digest(image.voxels, image.affine))
    return WorkingVolume(intensity=intensity, affine=affine, grid=grid, facts=facts)


def antialias(
    voxels: Float32[np.ndarray, "X Y Z"], sides_mm: Num[np.ndarray, " 3"], spacing_mm: float
) -> Float32[np.ndarray, "X Y Z"]:
    """Smooth an image along the axes that will lose resolution.

    The Gaussian turns the point spread of a voxel into that of a larger one (Cardoso et al., MICCAI
    2015). ITK's recursive Gaussian is slower, undershoots, and refuses short axes.

    Args:
        voxels: Intensities.
        sides_mm: Voxel sides of the image.
        spacing_mm: Voxel side after resampling.
    """
    ratio = np.maximum(spacing_mm / sides_mm, 1)
    sigmas = np.sqrt((ratio**2 - 1) / (8 * np.log(2)))  # in voxels
    for axis, sigma in enumerate(sigmas):
        if sigma > 0.1:  # below, the kernel is a single voxel
            voxels = ndimage.gaussian_filter1d(voxels, sigma, axis, mode="nearest")
    return voxels

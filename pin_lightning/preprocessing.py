"""Preprocessing: an image file to its working volume, cached on disk."""

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import torchio as tio
from jaxtyping import Float32, Float64, Num, UInt8
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from rich.console import Console
from rich.progress import track
from scipy import ndimage

from pin_lightning.cases import IMAGE_SUFFIXES, Case, stem
from pin_lightning.geometry import (
    Grid,
    canonical_affine,
    corner_distance_mm,
    grid_affine,
    itk_affine,
)

# Part of every cache file's name: raise it when the same image should give another volume.
PREPROCESSING_VERSION = 1
# Half a percent at either end is where metal, noise and reconstruction artefacts sit.
PERCENTILES = (0.5, 99.5)
# With more background than this, percentiles of all voxels would describe the background.
BACKGROUND_FRACTION = 0.5
# Voxels of the longest side, at most, unless a spacing is asked for: a patch of a fixed number of
# voxels should span a good part of the anatomy.
LONGEST_SIDE = 160

# What nibabel and SimpleITK raise for files that are damaged or not images.
READ_ERRORS = (OSError, EOFError, RuntimeError, zlib.error, ImageFileError, HeaderDataError)

Header = tuple[tuple[int, int, int], np.ndarray]
RawHeader = tuple[tuple[int, ...], np.ndarray]  # of an image that may not be 3D


@dataclass(frozen=True)
class WorkingVolume:
    """An image resampled to the working grid, its intensity rescaled.

    Attributes:
        intensity: 0 to 255 [X, Y, Z].
        affine: Working ijk to world RAS+ mm.
        grid: Size and spacing.
    """

    intensity: UInt8[torch.Tensor, "X Y Z"]
    affine: Float64[np.ndarray, "4 4"]
    grid: Grid


def read_header(path: Path) -> Header:
    """Shape and affine of an image, without its voxels.

    Args:
        path: A 3D image with one channel.

    Returns:
        Voxels along its own axes, and voxel index to world RAS+ mm [4, 4] float64.

    Raises:
        ValueError: The file cannot be read, or it is not a 3D image with one channel.
    """
    try:
        shape, affine = _nifti_header(path) if _is_nifti(path) else _itk_header(path)
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error
    if len(shape) != 3 or min(shape) < 2:
        raise ValueError(f"{path}: has shape {shape}; give a 3D image with one channel")
    try:
        canonical_affine(affine, shape)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return (shape[0], shape[1], shape[2]), affine


def suggest_grid(
    headers: Sequence[Header],
    spacing_mm: float | int | None = None,
    size: Sequence[int] | None = None,
) -> Grid:
    """Working grid of a data set: what is not given comes from the images.

    The spacing is the larger of two: the median over cases of the finest voxel side, and the
    longest extent of any case divided by 160; rounded to two significant digits. The size holds
    the largest extent over cases along each axis, once the axes are in the order closest to RAS.

    Args:
        headers: Shape and affine per case, from `read_header`.
        spacing_mm: Voxel side in mm, if it is to be this.
        size: Voxels along x, y, z, if they are to be these.

    Raises:
        ValueError: There is no header, or a given value is not positive.
    """
    if not headers:
        raise ValueError("data.root: has no images; the working grid is chosen from them")
    canonical = [canonical_affine(affine, shape) for shape, affine in headers]
    sides_mm = np.array([np.linalg.norm(affine[:3, :3], axis=0) for affine, _ in canonical])
    extent_mm = np.max(sides_mm * np.array([shape for _, shape in canonical]), axis=0)
    if spacing_mm is None:
        finest = max(float(np.median(sides_mm.min(axis=1))), float(extent_mm.max()) / LONGEST_SIDE)
        spacing_mm = float(f"{finest:.2g}")
    if size is None:
        Grid((1, 1, 1), float(spacing_mm))  # refuses what cannot be divided by
        # A little less than whole, so that 30.000001 voxels of rounding noise are not 31.
        size = [int(side) for side in np.ceil(extent_mm / spacing_mm - 1e-3)]
    if len(size) != 3:
        raise ValueError(f"data.grid_size={list(size)}: give three numbers of voxels")
    return Grid((size[0], size[1], size[2]), float(spacing_mm))


def preprocess(path: Path, grid: Grid) -> WorkingVolume:
    """The working volume of an image file.

    Intensity is rescaled so that the 0.5 and 99.5 percentiles of the image become 0 and 255
    (percentiles over the voxels above the minimum where most are background), then resampled
    linearly, after a Gaussian along axes that lose resolution. Outside the image is 0.

    Args:
        path: A 3D image with one channel.
        grid: Working grid.

    Returns:
        The volume with its affine, from `grid_affine`.

    Raises:
        ValueError: The file cannot be read, is not 3D with one channel, is constant, or holds NaN.
    """
    image_affine = read_header(path)[1]  # refuses before the voxels are read
    voxels = _read_voxels(path)
    affine = grid_affine(image_affine, voxels.shape, grid)
    scaled = rescale(voxels, *_checked_window(path, voxels))
    smoothed = antialias(scaled, np.linalg.norm(image_affine[:3, :3], axis=0), grid.spacing_mm)
    image = tio.ScalarImage(tensor=torch.from_numpy(smoothed)[None], affine=image_affine)
    with torch.random.fork_rng(devices=[]):  # torchio draws even for a fixed transform
        resampled = tio.Resample(target=(grid.size, affine))(image).data[0]
    return WorkingVolume(resampled.round().clamp(0, 255).to(torch.uint8), affine, grid)


def intensity_window(voxels: Num[np.ndarray, "X Y Z"]) -> tuple[float, float]:
    """Low and high ends of an image's range, robust; the voxels finite and not all the same."""
    minimum = voxels.min()
    above = voxels[voxels > minimum]
    mostly_background = above.size < (1 - BACKGROUND_FRACTION) * voxels.size
    low, high = np.percentile(above if mostly_background else voxels, PERCENTILES)
    if low >= high:  # few grey levels, such as a mask
        low, high = minimum, above.max()
    return float(low), float(high)


def rescale(
    voxels: Num[np.ndarray, "X Y Z"], low: float, high: float
) -> Float32[np.ndarray, "X Y Z"]:
    """Intensities with low and high moved to 0 and 255, clipped there."""
    shifted = (voxels.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.clip(shifted, 0, 255, out=shifted)


def antialias(
    voxels: Float32[np.ndarray, "X Y Z"], sides_mm: Num[np.ndarray, " 3"], spacing_mm: float
) -> Float32[np.ndarray, "X Y Z"]:
    """An image smoothed along the axes that are about to lose resolution.

    The Gaussian turns the point spread of a voxel into that of a larger one (Cardoso et al., MICCAI
    2015). ITK's recursive Gaussian is slower, undershoots, and refuses short axes.

    Args:
        voxels: Intensities.
        sides_mm: Voxel sides of the image.
        spacing_mm: Voxel side it is to be resampled to.
    """
    ratio = np.maximum(spacing_mm / sides_mm, 1)
    sigmas = np.sqrt((ratio**2 - 1) / (8 * np.log(2)))  # in voxels
    for axis, sigma in enumerate(sigmas):
        if sigma > 0.1:  # below, the kernel is a single voxel
            voxels = ndimage.gaussian_filter1d(voxels, sigma, axis, mode="nearest")
    return voxels


def cached_volume(path: Path, grid: Grid, cache_dir: Path) -> Path:
    """The file of an image's working volume, made if absent.

    An uncompressed uint8 NIfTI: 3D Slicer shows it, and it can be memory-mapped. Its name changes
    with the image file, the grid and the version of the preprocessing.

    Args:
        path: Image file.
        grid: Working grid.
        cache_dir: Folder of the cached volumes, made if absent.

    Raises:
        ValueError: The image is not one that `preprocess` takes.
    """
    target = cache_dir / f"{stem(path)}_{_cache_key(path, grid)}.nii"
    if not target.exists():
        volume = preprocess(path, grid)
        image = nib.Nifti1Image(volume.intensity.numpy(), volume.affine)
        image.header.set_xyzt_units("mm")
        cache_dir.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.stem}.{os.getpid()}.nii")
        nib.save(image, temporary)
        os.replace(temporary, target)
    return target


def load_volume(path: Path) -> WorkingVolume:
    """A working volume that `cached_volume` wrote, memory-mapped (changes never reach the file)."""
    image: Any = nib.load(path, mmap="c")
    affine = np.asarray(image.affine, dtype=np.float64)
    x, y, z = image.shape
    grid = Grid((x, y, z), float(f"{np.linalg.norm(affine[:3, 0]):.6g}"))
    return WorkingVolume(torch.from_numpy(np.asarray(image.dataobj)), affine, grid)


def cache_volumes(cases: Sequence[Case], grid: Grid, cache_dir: Path) -> dict[str, Path]:
    """Working volume files of all cases by name, with a progress bar on a terminal."""
    console = Console(stderr=True)
    quiet = not console.is_terminal
    bar = track(cases, "working volumes", console=console, transient=True, disable=quiet)
    return {case.name: cached_volume(case.image, grid, cache_dir) for case in bar}


def _cache_key(path: Path, grid: Grid) -> str:
    changed = path.stat().st_mtime_ns
    parts = (str(path.resolve()), changed, grid.size, grid.spacing_mm, PREPROCESSING_VERSION)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _is_nifti(path: Path) -> bool:
    if stem(path) is None:
        raise ValueError(f"{path}: not an image that is read; use {', '.join(IMAGE_SUFFIXES)}")
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _nifti_header(path: Path) -> RawHeader:
    image: Any = nib.load(path)
    dtype = image.get_data_dtype()
    if dtype.names or dtype.kind == "c":
        raise ValueError(f"{path}: voxels of type {dtype}; give an image with one channel")
    _check_forms(path, image)
    return image.shape, np.asarray(image.affine, dtype=np.float64)


def _check_forms(path: Path, image: Any) -> None:
    """Refuse a NIfTI whose place in the world depends on which program reads it."""
    sform, qform = image.get_sform(coded=True)[0], image.get_qform(coded=True)[0]
    if sform is None and qform is None:
        raise ValueError(f"{path}: has neither sform nor qform; save it with its position in space")
    if sform is not None and qform is not None:
        apart_mm = corner_distance_mm(sform, qform, image.shape[:3])
        if apart_mm > min(image.header.get_zooms()[:3]):
            raise ValueError(
                f"{path}: sform and qform are {apart_mm:.3g} mm apart; make them agree"
            )


def _itk_header(path: Path) -> RawHeader:
    import SimpleITK as sitk  # only here: most data sets are NIfTI, and the import is slow

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    shape, channels = reader.GetSize(), reader.GetNumberOfComponents()
    if channels != 1 or len(shape) != 3:
        return (*shape, channels), np.eye(4)  # refused by its shape
    return shape, itk_affine(reader.GetOrigin(), reader.GetSpacing(), reader.GetDirection())


def _read_voxels(path: Path) -> Num[np.ndarray, "X Y Z"]:
    try:
        if _is_nifti(path):  # not through ITK: it refuses sheared axes
            image: Any = nib.load(path)
            return np.asarray(image.dataobj)
        return tio.ScalarImage(path).data[0].numpy()
    except (*READ_ERRORS, ValueError) as error:
        raise _unreadable(path, error) from error


def _checked_window(path: Path, voxels: Num[np.ndarray, "X Y Z"]) -> tuple[float, float]:
    if not np.isfinite(voxels).all():
        raise ValueError(f"{path}: some voxels are NaN or infinite; replace them by numbers")
    if voxels.min() == voxels.max():
        raise ValueError(f"{path}: all voxels are {voxels.flat[0]}; give an image with contrast")
    return intensity_window(voxels)


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = "no such file" if not path.exists() else type(error).__name__
    return ValueError(f"{path}: cannot be read as an image ({reason}); check the file")

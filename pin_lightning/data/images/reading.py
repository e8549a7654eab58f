"""Reading image files of any format: shape, affine, voxels."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Num

from pin_lightning.common.geometry import canonical_affine
from pin_lightning.data.images.dicom import open_dicom, open_series
from pin_lightning.data.images.dicom_file import is_dicom
from pin_lightning.data.images.freesurfer import MGH_SUFFIXES, open_mgh
from pin_lightning.data.images.limits import check_place, check_size
from pin_lightning.data.images.metaimage import META_SUFFIXES, open_metaimage
from pin_lightning.data.images.nifti import NIFTI_SUFFIXES, open_nifti
from pin_lightning.data.images.nrrd import NRRD_SUFFIXES, open_nrrd
from pin_lightning.data.images.readable import readable, unreadable
from pin_lightning.data.images.stored import StoredImage

READING_VERSION = 3  # part of names of cached volumes; increment when voxels or places change
DICOM_SUFFIXES = (".dcm",)
OPENERS = {
    NIFTI_SUFFIXES: open_nifti,
    MGH_SUFFIXES: open_mgh,
    NRRD_SUFFIXES: open_nrrd,
    META_SUFFIXES: open_metaimage,
    DICOM_SUFFIXES: open_dicom,
}
IMAGE_SUFFIXES = tuple(suffix for suffixes in OPENERS for suffix in suffixes)

Header = tuple[tuple[int, int, int], np.ndarray]


def stem(path: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str | None:
    """File name without its suffix; None if it has none of the suffixes.

    With the suffixes of images, a folder is a DICOM series, and the result is its name.

    >>> stem(Path("scans/ANNA.nii.gz"))
    'ANNA'
    """
    if suffixes == IMAGE_SUFFIXES and os.path.isdir(path):  # no error for a name that is too long
        return path.absolute().name
    return file_stem(path, suffixes)


def file_stem(path: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str | None:
    """As `stem`, by the name alone: of files that are not on this machine, too.

    >>> file_stem(Path("none/ANNA.nii.gz"))
    'ANNA'
    """
    lowered = path.name.lower()
    return next((path.name[: -len(end)] for end in suffixes if lowered.endswith(end)), None)


def read_header(path: Path) -> Header:
    """Read shape and affine of an image.

    Args:
        path: A 3D image with one channel, or the folder of a DICOM series.

    Returns:
        Voxels along its own axes, and voxel index to world RAS+ mm [4, 4] float64.

    Raises:
        ValueError: The file cannot be read, is not a 3D image with one channel, or has no position
            in space.
    """
    image, shape = _opened(path)
    return shape, image.affine


def read_voxels(path: Path) -> Num[np.ndarray, "X Y Z"]:
    """Read the voxels of an image along its own axes, rescaled as its header says.

    Args:
        path: An image that `read_header` accepts.

    Raises:
        ValueError: The file cannot be read, or `read_header` would refuse it.
    """
    image, shape = _opened(path)
    with readable(path):
        voxels = image.read()
    if voxels.size != math.prod(shape):
        raise unreadable(path, f"voxels of shape {voxels.shape}, not {shape}")
    return voxels.reshape(shape, order="F")


def _opened(path: Path) -> tuple[StoredImage, tuple[int, int, int]]:
    """An image whose header is right, and its shape: nothing else may be read or asked for."""
    with np.errstate(all="ignore"):  # what is not finite is refused
        with readable(path):
            image = _opener(path)(path)
        shape = _checked_shape(path, image.shape)
        check_size(path, shape, image.voxel_bytes)
        check_place(path, image.affine)
        try:
            canonical_affine(image.affine, shape)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return image, shape


def _opener(path: Path) -> Callable[[Path], StoredImage]:
    if path.is_dir():
        return open_series
    lowered = path.name.lower()
    for suffixes, opener in OPENERS.items():
        if lowered.endswith(suffixes):
            return opener
    if is_dicom(path):
        return open_dicom
    if path.suffix.lower() == ".img":
        raise ValueError(f"{path}: has no header; give the .hdr file beside it")
    formats = f"{', '.join(IMAGE_SUFFIXES)} or the folder of a DICOM series"
    raise ValueError(f"{path}: not an image that can be read; use {formats}")


def _checked_shape(path: Path, shape: Sequence[int]) -> tuple[int, int, int]:
    """Three sides of at least two voxels; further axes of one frame are dropped."""
    sides = [int(side) for side in shape]
    while len(sides) > 3 and sides[-1] == 1:
        sides.pop()
    said = f"{path}: has shape {tuple(sides)}"
    if len(sides) != 3:
        raise ValueError(f"{said}; give a 3D image with one channel and one frame")
    if min(sides) < 2:
        hint = " (of a DICOM series, its folder)" if path.suffix.lower() == ".dcm" else ""
        raise ValueError(f"{said}; give a 3D image{hint} of at least 2 voxels along each axis")
    return sides[0], sides[1], sides[2]

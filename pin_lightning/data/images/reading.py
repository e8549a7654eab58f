"""Reading image files of any format: shape, affine, voxels."""

import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Num
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.imageglobals import logger as nibabel_log
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError, ImageDataError

from pin_lightning.common.geometry import canonical_affine, corner_distance_mm
from pin_lightning.data.images.dicom import series_header, series_voxels
from pin_lightning.data.images.itk import RawHeader, check_spacing, itk_header, itk_voxels

NIFTI_SUFFIXES = (".nii.gz", ".nii", ".hdr")  # .hdr: with voxels in an .img file
MGH_SUFFIXES = (".mgz", ".mgh")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")
IMAGE_SUFFIXES = (*NIFTI_SUFFIXES, *MGH_SUFFIXES, *ITK_SUFFIXES)

# Errors of nibabel and SimpleITK for files that are damaged or not images.
READ_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    RuntimeError,
    OverflowError,
    MemoryError,
    KeyError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    ImageDataError,
    MGHError,
)
# Caught only around nibabel's own code, where they cannot be errors of this package.
NIBABEL_ERRORS = (ValueError, TypeError)
NIFTI_MAGIC = (b"n+1", b"ni1", b"n+2", b"ni2")
NIFTI_UNITS = {1: "metres", 3: "micrometres"}  # the others: millimetres and unknown

Header = tuple[tuple[int, int, int], np.ndarray]


def stem(path: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str | None:
    """File name without its suffix; None if it has none of the suffixes.

    With the suffixes of images, a folder is a DICOM series, and the result is its name.

    >>> stem(Path("scans/ANNA.nii.gz"))
    'ANNA'
    """
    if suffixes == IMAGE_SUFFIXES and path.is_dir():
        return path.absolute().name
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
    _check_suffix(path)
    if _is_nibabel(path):
        shape, affine = _nibabel_header(path)
    else:
        with _readable(path):
            shape, affine = series_header(path) if path.is_dir() else itk_header(path)
    sides = _checked_shape(path, shape)
    try:
        canonical_affine(affine, sides)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return sides, affine


def read_voxels(path: Path) -> Num[np.ndarray, "X Y Z"]:
    """Read the voxels of an image along its own axes, rescaled as its header says.

    Args:
        path: An image that `read_header` accepts.

    Raises:
        ValueError: The file cannot be read, or it is not a 3D image with one channel.
    """
    _check_suffix(path)
    if _is_nibabel(path):  # ITK would refuse sheared axes
        image = _loaded(path)
        with _readable(path, *NIBABEL_ERRORS), _quiet_nibabel():
            if path.name.lower().endswith((".nii.gz", ".mgz")):
                # Decompressed as a whole, since nibabel stops before the checksum.
                content = gzip.decompress(path.read_bytes())
                image, found = type(image).from_bytes(content), len(content)
            else:
                found = Path(image.file_map["image"].filename).stat().st_size
            _check_length(image.dataobj, found)
            voxels = np.asarray(image.dataobj)
    else:
        with _readable(path):
            voxels = series_voxels(path) if path.is_dir() else itk_voxels(path)
    return voxels.reshape(_checked_shape(path, voxels.shape), order="F")


def _check_length(voxels: Any, found: int) -> None:
    """Raise EOFError if voxels are missing; nibabel would first allocate what the header claims."""
    needed = voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize
    if found < needed:
        raise EOFError(f"{found} of {needed} bytes")


def _check_suffix(path: Path) -> None:
    if stem(path) is not None:
        return
    if path.suffix.lower() == ".img":
        raise ValueError(f"{path}: has no header; give the .hdr file beside it")
    formats = f"{', '.join(IMAGE_SUFFIXES)} or the folder of a DICOM series"
    raise ValueError(f"{path}: not an image that can be read; use {formats}")


def _is_nibabel(path: Path) -> bool:
    return path.name.lower().endswith((*NIFTI_SUFFIXES, *MGH_SUFFIXES)) and not path.is_dir()


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


def _nibabel_header(path: Path) -> RawHeader:
    with _readable(path, *NIBABEL_ERRORS), ImageOpener(str(path)) as file:
        block = file.read(540)
    is_mgh = path.name.lower().endswith(MGH_SUFFIXES)
    (_check_mgh_block if is_mgh else _check_nifti_block)(path, block)
    image = _loaded(path)
    shape = _checked_shape(path, [int(side) for side in image.shape])
    if not is_mgh:
        _check_forms(path, image)
    return shape, np.asarray(image.affine, dtype=np.float64)


def _loaded(path: Path) -> Any:
    """Load an image of one channel with nibabel, without its voxels."""
    with _readable(path, *NIBABEL_ERRORS), _quiet_nibabel():
        image: Any = nib.load(path)
        if not isinstance(image, nib.Nifti1Pair | nib.MGHImage):
            raise ImageFileError("of another format than its name says")
    dtype = image.get_data_dtype()
    if dtype.names or dtype.kind == "c":
        raise ValueError(f"{path}: voxels of type {dtype}; give an image with one channel")
    return image


def _check_nifti_block(path: Path, block: bytes) -> None:
    """Validate what nibabel silently corrects or ignores: format, voxel spacing, units."""
    sizes = [int.from_bytes(block[:4], order) for order in ("little", "big")]
    kind = nib.Nifti2Header if 540 in sizes else nib.Nifti1Header
    with _readable(path, *NIBABEL_ERRORS):
        if kind.sizeof_hdr not in sizes or len(block) < kind.sizeof_hdr:
            raise ImageFileError("not NIfTI")
        header: Any = kind(block[: kind.sizeof_hdr], check=False)
    if bytes(header["magic"])[:3] not in NIFTI_MAGIC:
        raise ValueError(f"{path}: ANALYZE, which has no position in space; save as NIfTI")
    check_spacing(path, header["pixdim"][1 : 1 + min(3, int(header["dim"][0]))])
    units = NIFTI_UNITS.get(int(header["xyzt_units"]) & 7)
    if units:
        raise ValueError(f"{path}: its units are {units}; save it in millimetres")


def _check_mgh_block(path: Path, block: bytes) -> None:
    with _readable(path):
        if len(block) < 42:
            raise EOFError("header cut short")
    if not any(block[28:30]):  # goodRASFlag
        raise ValueError(f"{path}: has no position in space; save it with one")
    check_spacing(path, np.frombuffer(block[30:42], dtype=">f4"))


def _check_forms(path: Path, image: Any) -> None:
    """Validate that a NIfTI has a sform or a qform, and that they agree."""
    with _readable(path, *NIBABEL_ERRORS), _quiet_nibabel():
        sform, qform = image.get_sform(coded=True)[0], image.get_qform(coded=True)[0]
    if sform is None and qform is None:
        raise ValueError(f"{path}: has neither sform nor qform; save it with a position in space")
    if sform is not None and qform is not None:
        apart_mm = corner_distance_mm(sform, qform, image.shape[:3])
        if not apart_mm <= float(min(image.header.get_zooms()[:3])):
            message = f"sform and qform are {apart_mm:.3g} mm apart; make them agree"
            raise ValueError(f"{path}: {message}")


@contextmanager
def _readable(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turn errors of the libraries, and `more` within this block, into a one-line ValueError."""
    try:
        yield
    except READ_ERRORS + more as error:
        raise ValueError(
            f"{path}: cannot be read as an image ({_reason(path, error)}); check the file"
        ) from error


def _reason(path: Path, error: Exception) -> str:
    if not path.exists():
        return "no such file"
    if path.is_file() and path.stat().st_size == 0:
        return "the file is empty"
    return "damaged compression" if isinstance(error, zlib.error) else type(error).__name__


@contextmanager
def _quiet_nibabel() -> Iterator[None]:
    """Suppress nibabel's log messages on headers and NumPy's warnings."""
    shown = nibabel_log.disabled
    nibabel_log.disabled = True
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        nibabel_log.disabled = shown

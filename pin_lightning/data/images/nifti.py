"""NIfTI files: header by nibabel, strictly; voxels by NumPy."""

import logging
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from pin_lightning.common.geometry import corner_distance_mm
from pin_lightning.data.images.limits import check_spacing
from pin_lightning.data.images.nibabel_voxels import (
    ERRORS,
    VoxelBlock,
    check_channels,
    quiet_nibabel,
    read_block,
    read_head,
)
from pin_lightning.data.images.paths import file_fault
from pin_lightning.data.images.readable import readable, unreadable
from pin_lightning.data.images.stored import StoredImage
from pin_lightning.data.images.units import check_unit

log = logging.getLogger(__name__)

NIFTI_SUFFIXES = (".nii.gz", ".nii", ".hdr")  # .hdr: with voxels in an .img file
HEADERS = {  # by magic
    b"n+1": nib.Nifti1Header,
    b"ni1": nib.nifti1.Nifti1PairHeader,
    b"n+2": nib.Nifti2Header,
    b"ni2": nib.nifti2.Nifti2PairHeader,
}
HEADER_BYTES = (348, 540)  # of both versions
EXTENSION_FLAG = 4  # bytes between header and voxels of a single file, at least
MAX_OFFSET = 1 << 26  # of the voxels; extensions lie before them
UNITS = {0: "unknown", 1: "metres", 2: "mm", 3: "micrometres"}
APART = 0.1  # voxels between sform and qform that are pointed out


def open_nifti(path: Path) -> StoredImage:
    """Read the header of a NIfTI file, compressed or not, whatever its suffix says.

    Raises:
        ValueError: It is damaged, has several channels, other units than mm, or no position in
            space.
    """
    block = read_head(path, max(HEADER_BYTES))
    header = _header(path, block)
    shape = tuple(int(side) for side in header.get_data_shape())
    with readable(path, *ERRORS), quiet_nibabel():
        dtype, scaling = header.get_data_dtype(), header.get_slope_inter()
    check_channels(path, dtype)
    voxels = VoxelBlock(
        path=_voxel_file(path, header),
        dtype=dtype,
        shape=shape,
        offset=_offset(path, header),
        scaling=None if scaling[0] is None else scaling,
    )
    affine = _affine(path, header, shape)
    return StoredImage(shape, affine, dtype.itemsize, lambda: read_block(path, voxels))


def voxel_file(path: Path) -> Path:
    """File of the voxels of an ``.hdr`` file, which may not exist."""
    upper = path.with_suffix(".IMG")
    return upper if upper.is_file() else path.with_suffix(".img")


def _header(path: Path, block: bytes) -> Any:
    """Header that nibabel accepts, validated for what it silently corrects or ignores."""
    sizes = [int.from_bytes(block[:4], order) for order in ("little", "big")]
    size = next((one for one in HEADER_BYTES if one in sizes), None)
    if size is None or len(block) < size:
        raise unreadable(path, "not NIfTI")
    unchecked = nib.Nifti2Header if size == 540 else nib.Nifti1Header
    with readable(path, *ERRORS):
        header: Any = unchecked(block[:size], check=False)
    kind = HEADERS.get(bytes(header["magic"])[:3])
    if kind is None:
        raise ValueError(f"{path}: ANALYZE, which has no position in space; save as NIfTI")
    check_unit(path, UNITS.get(int(header["xyzt_units"]) & 7, "of an unknown code"))
    check_spacing(path, header["pixdim"][1 : 1 + min(3, int(header["dim"][0]))])
    with readable(path, *ERRORS), quiet_nibabel():
        return kind(block[:size])


def _voxel_file(path: Path, header: Any) -> Path:
    is_pair, is_named_pair = not header.is_single, path.suffix.lower() == ".hdr"
    if is_pair != is_named_pair:
        kind = "a header whose voxels are in an .img file" if is_pair else "header and voxels"
        raise ValueError(f"{path}: holds {kind}, unlike its name; rename it or save it again")
    if not is_pair:
        return path
    found = voxel_file(path)
    if fault := file_fault(found):
        raise unreadable(path, f"voxels in {found.name}: {fault}")
    return found


def _offset(path: Path, header: Any) -> int:
    offset = float(header["vox_offset"])
    least = header.sizeof_hdr + EXTENSION_FLAG if header.is_single else 0
    if not least <= offset <= MAX_OFFSET or offset != int(offset):
        raise ValueError(
            f"{path}: vox_offset={offset:g}, where voxels cannot begin; save the image again"
        )
    return int(offset)


def _affine(path: Path, header: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Affine of the sform, or else of the qform; refused if they disagree."""
    with readable(path, *ERRORS), quiet_nibabel():
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if len(shape) < 3:
        return affine
    if sform is None and qform is None:
        raise ValueError(f"{path}: has neither sform nor qform; save it with a position in space")
    if sform is not None and qform is not None:
        apart_mm = corner_distance_mm(sform, qform, shape[:3])
        voxel_mm = float(min(header.get_zooms()[:3]))
        if not apart_mm <= voxel_mm:
            message = f"sform and qform are {apart_mm:.3g} mm apart; make them agree"
            raise ValueError(f"{path}: {message}")
        if apart_mm > APART * voxel_mm:
            _point_out(f"{path}: sform and qform are {apart_mm:.3g} mm apart; the sform is taken")
    return affine


@cache  # headers are read several times
def _point_out(message: str) -> None:
    log.warning("%s", message)

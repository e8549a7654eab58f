"""FreeSurfer files (MGH): header by nibabel, voxels by NumPy."""

from pathlib import Path

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from pin_lightning.data.images.limits import check_spacing
from pin_lightning.data.images.nibabel_voxels import (
    ERRORS,
    VoxelBlock,
    check_channels,
    quiet_nibabel,
    read_block,
    read_head,
)
from pin_lightning.data.images.readable import readable, unreadable
from pin_lightning.data.images.stored import StoredImage

MGH_SUFFIXES = (".mgz", ".mgh")
HEADER_BYTES = 90
VERSION = 1
TRAILING_BYTES = 1 << 26  # tags after the voxels, such as a history and colour tables


def open_mgh(path: Path) -> StoredImage:
    """Read the header of an MGH file, compressed or not, whatever its suffix says.

    Raises:
        ValueError: It is damaged, or has no position in space.
    """
    block = read_head(path, HEADER_BYTES)
    if len(block) < HEADER_BYTES:
        raise unreadable(path, "header cut short")
    if int.from_bytes(block[:4], "big") != VERSION:
        raise unreadable(path, "not MGH")
    if not any(block[28:30]):  # goodRASFlag
        raise ValueError(f"{path}: has no position in space; save it with one")
    check_spacing(path, np.frombuffer(block[30:42], dtype=">f4"))
    with readable(path, *ERRORS), quiet_nibabel():
        header = MGHHeader(block)
        shape = tuple(int(side) for side in header.get_data_shape())
        affine, dtype = np.asarray(header.get_affine(), np.float64), header.get_data_dtype()
    check_channels(path, dtype)
    voxels = VoxelBlock(
        path=path,
        dtype=dtype,
        shape=shape,
        offset=header.get_data_offset(),
        trailing=TRAILING_BYTES,
    )
    return StoredImage(shape, affine, dtype.itemsize, lambda: read_block(path, voxels))

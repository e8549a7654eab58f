"""Heads and voxels of the files whose headers nibabel parses, compressed or not."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Num
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.imageglobals import logger as nibabel_log
from nibabel.spatialimages import HeaderDataError, ImageDataError
from nibabel.volumeutils import apply_read_scaling

from pin_lightning.data.images.readable import check_is_file, readable
from pin_lightning.data.images.voxel_bytes import (
    GZIP_MARK,
    TRAILING_BYTES,
    VoxelFile,
    read_bytes,
)

HEAD_INPUT = 4096  # compressed bytes that hold any header
# What nibabel raises for damaged headers; caught only around its own code.
ERRORS = (ValueError, TypeError, ImageFileError, HeaderDataError, ImageDataError, MGHError)


@dataclass(frozen=True)
class VoxelBlock:
    """Voxels in a file, compressed or not, as its header describes them.

    Attributes:
        path: The file.
        dtype: Type of a stored value.
        shape: Voxels along the image's own axes.
        offset: Of the first voxel, in the file as it is when inflated.
        scaling: Slope and intercept; None where there are none.
        trailing: Bytes that may follow.
    """

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    scaling: tuple[float, float] | None = None
    trailing: int = TRAILING_BYTES


def read_head(path: Path, num_bytes: int) -> bytes:
    """First bytes of a file, inflated if its content (not its name) says that it is gzip.

    Raises:
        ValueError: It is no file, or cannot be read.
    """
    check_is_file(path)
    with readable(path), path.open("rb") as file:
        head = file.read(HEAD_INPUT)
        if head.startswith(GZIP_MARK):
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, num_bytes)
        return head[:num_bytes]


def read_block(image: Path, block: VoxelBlock) -> Num[np.ndarray, "..."]:
    """Read rescaled voxels; those of a file that is not compressed are mapped, copied on write.

    Args:
        image: Image file, for messages.
        block: Where its voxels are.

    Raises:
        ValueError: Voxels are missing, damaged or more than promised.
    """
    with readable(image, *ERRORS), quiet_nibabel():
        if _is_gzip(block.path):
            needed = block.offset + math.prod(block.shape) * block.dtype.itemsize
            content = read_bytes([VoxelFile(block.path, "deflate")], needed, block.trailing)
            voxels = np.ndarray(block.shape, block.dtype, content.data, block.offset, order="F")
        else:
            voxels = _mapped(block)
        return voxels if block.scaling is None else apply_read_scaling(voxels, *block.scaling)


@contextmanager
def quiet_nibabel() -> Iterator[None]:
    """Suppress nibabel's log messages on headers and NumPy's warnings."""
    shown = nibabel_log.disabled
    nibabel_log.disabled = True
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        nibabel_log.disabled = shown


def check_channels(path: Path, dtype: np.dtype) -> None:
    """Validate that a voxel is one real number.

    Raises:
        ValueError: It is a colour or complex.
    """
    if dtype.names or dtype.kind == "c":
        raise ValueError(f"{path}: voxels of type {dtype}; give an image with one channel")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MARK


def _mapped(block: VoxelBlock) -> Num[np.ndarray, "..."]:
    found = block.path.stat().st_size - block.offset
    needed = math.prod(block.shape) * block.dtype.itemsize
    if found < needed:
        raise EOFError(f"{max(found, 0)} of {needed} bytes of voxels")
    if found > needed + block.trailing:
        raise EOFError(f"more than the {needed} bytes of voxels that the header promises")
    return np.asarray(np.memmap(block.path, block.dtype, "c", block.offset, block.shape, order="F"))

"""Bytes of voxels from files, raw or compressed: never more than a header promises."""

import bz2
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float64, Num, UInt8

from pin_lightning.data.images.paths import file_fault
from pin_lightning.data.images.readable import readable
from pin_lightning.data.images.stored import StoredImage

INPUT_BYTES, CHUNK_BYTES = 1 << 16, 1 << 20
# Bytes that one byte inflates to at most; bzip2 has no such bound.
RATIO = {"raw": 1, "deflate": 1040}
# Bytes that may follow the voxels: padding. More means that header and voxels disagree.
TRAILING_BYTES = 4096
DIGITS = 64  # more than a number of a text file has, with what parts it from the next
GZIP_MARK = b"\x1f\x8b"


@dataclass(frozen=True)
class VoxelFile:
    """Where voxels are.

    Attributes:
        path: The file.
        encoding: ``raw``, ``deflate`` (gzip or zlib), ``bzip2`` or ``text``.
        start: Offset of the first byte; None if the voxels are the last bytes of a raw file.
        skip_lines: Lines to skip from there on.
        skip_bytes: Bytes to skip then.
    """

    path: Path
    encoding: str = "raw"
    start: int | None = 0
    skip_lines: int = 0
    skip_bytes: int = 0


def read_array(
    files: Sequence[VoxelFile], dtype: np.dtype, shape: Sequence[int]
) -> Num[np.ndarray, "..."]:
    """Read voxels whose first axis runs fastest.

    Raises:
        EOFError: There are fewer or more than `shape` says.
        OSError, zlib.error: A file is absent or damaged.
    """
    count = math.prod(shape)
    if files[0].encoding == "text":
        flat = _read_text(files, dtype, count)
    else:
        flat = read_bytes(files, count * dtype.itemsize).view(dtype)
    return flat.reshape(tuple(shape), order="F")


def image_in_files(
    path: Path,
    files: Sequence[VoxelFile],
    dtype: np.dtype,
    shape: Sequence[int],
    affine: Float64[np.ndarray, "4 4"],
) -> StoredImage:
    """An image whose header, at `path`, is read, and whose voxels are read when asked for."""

    def read() -> Num[np.ndarray, "..."]:
        with readable(path):
            return read_array(files, dtype, shape)

    return StoredImage(tuple(shape), affine, dtype.itemsize, read)


def read_bytes(
    files: Sequence[VoxelFile], num_bytes: int, trailing: int = TRAILING_BYTES
) -> UInt8[np.ndarray, " bytes"]:
    """Read the bytes of voxels; of several files each holds the same share.

    Args:
        files: Where they are; not text.
        num_bytes: Bytes that the header promises. No more are inflated, but for `trailing`.
        trailing: Bytes that may follow the voxels.

    Raises:
        EOFError: There are fewer or more bytes than promised.
        OSError, zlib.error: A file is absent or damaged.
    """
    _check_files(files)
    share, rest = divmod(num_bytes, len(files))
    if rest:
        raise EOFError(f"{len(files)} files of voxels cannot share {num_bytes} bytes equally")
    for one in files:  # before memory is asked for
        most = (one.path.stat().st_size - (one.start or 0)) * RATIO.get(one.encoding, math.inf)
        if most < share:
            raise EOFError(f"at most {max(most, 0)} of {share} bytes of voxels")
    content = np.empty(num_bytes, np.uint8)
    for number, one in enumerate(files):
        _fill(content[number * share : (number + 1) * share], one, trailing)
    return content


def _read_text(
    files: Sequence[VoxelFile], dtype: np.dtype, count: int
) -> Num[np.ndarray, " count"]:
    """Read voxels that are written as numbers.

    Raises:
        EOFError: There are fewer or more numbers than `count`, or one does not fit `dtype`.
        OSError: A file is absent.
    """
    _check_files(files)
    parts, most = list[bytes](), count * DIGITS + TRAILING_BYTES
    for one in files:
        with one.path.open("rb") as file:
            _seek(file, one)
            content = file.read(most + 1)
        if len(content) > most:
            raise EOFError(f"voxels in {one.path.name}: more than {count} numbers need")
        parts += content.replace(b",", b" ").split()
    if len(parts) != count:
        raise EOFError(f"{len(parts)} of {count} numbers")
    is_whole = dtype.kind in "iu"
    try:
        values = np.array([int(one) if is_whole else float(one) for one in parts])
        if is_whole and not all(
            np.iinfo(dtype).min <= one <= np.iinfo(dtype).max for one in values
        ):
            raise EOFError(f"numbers beyond {dtype}")
    except (ValueError, OverflowError) as error:
        raise EOFError("voxels that are not numbers") from error
    return values.astype(dtype)


def _check_files(files: Sequence[VoxelFile]) -> None:
    for one in files:
        if fault := file_fault(one.path):
            raise EOFError(f"voxels in {one.path.name}: {fault}")


def _seek(file: BinaryIO, one: VoxelFile) -> None:
    file.seek(one.start or 0)
    for _ in range(one.skip_lines):
        if not file.readline(CHUNK_BYTES):
            raise EOFError("fewer lines than to be skipped")
    file.seek(one.skip_bytes, 1)


def _fill(target: UInt8[np.ndarray, " bytes"], one: VoxelFile, trailing: int) -> None:
    """Fill an array, and read on to the end of the file, which verifies the checksum."""
    with one.path.open("rb") as file:
        _seek(file, one)
        if one.encoding == "raw":
            if one.start is None:
                file.seek(-len(target), 2)
            found = file.readinto(target.data)
            found += max(0, one.path.stat().st_size - file.tell())
        else:
            found = _fill_from(target, PIECES[one.encoding](file), trailing)
    if found < len(target):
        raise EOFError(f"{found} of {len(target)} bytes of voxels")
    if found > len(target) + trailing:
        raise EOFError(f"more than the {len(target)} bytes of voxels that the header promises")


def _fill_from(target: UInt8[np.ndarray, " bytes"], pieces: Iterator[bytes], trailing: int) -> int:
    """Bytes found, up to some more than are wanted."""
    found = 0
    for piece in pieces:
        wanted = np.frombuffer(piece, np.uint8)[: max(0, len(target) - found)]
        target[found : found + len(wanted)] = wanted
        found += len(piece)
        if found > len(target) + trailing:
            break
    return found


def inflated(file: BinaryIO) -> Iterator[bytes]:
    """Inflate gzip or zlib piece by piece, gzip members one after the other.

    Raises:
        EOFError: The file is cut short.
        zlib.error: It is damaged.
    """
    data = file.read(INPUT_BYTES)
    while data:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        while not decoder.eof:
            if not data:
                yield decoder.flush()
                if not decoder.eof:
                    raise EOFError("compressed voxels are cut short")
                break
            yield decoder.decompress(data, CHUNK_BYTES)
            data = decoder.unconsumed_tail or (b"" if decoder.eof else file.read(INPUT_BYTES))
        data = decoder.unused_data or file.read(INPUT_BYTES)
        if not data.startswith(GZIP_MARK):  # padding
            return


def _bunzipped(file: BinaryIO) -> Iterator[bytes]:
    with bz2.BZ2File(file) as stream:
        while piece := stream.read(CHUNK_BYTES):
            yield piece


PIECES = {"deflate": inflated, "bzip2": _bunzipped}

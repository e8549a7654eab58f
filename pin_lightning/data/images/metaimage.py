"""MetaImage files, read strictly: header by hand, voxels by NumPy (ITK's MetaIO)."""

import math
import re
from pathlib import Path

import numpy as np

from pin_lightning.common.geometry import itk_affine
from pin_lightning.data.images.header_text import (
    axis_sizes,
    files_named,
    needed,
    numbers,
    one_of,
    read_start,
    whole_numbers,
)
from pin_lightning.data.images.limits import check_spacing
from pin_lightning.data.images.readable import unreadable
from pin_lightning.data.images.stored import StoredImage
from pin_lightning.data.images.units import check_unit
from pin_lightning.data.images.voxel_bytes import VoxelFile, image_in_files

META_SUFFIXES = (".mha", ".mhd")
TYPES = {
    **{"met_char": "i1", "met_uchar": "u1", "met_short": "i2", "met_ushort": "u2"},
    **{"met_int": "i4", "met_uint": "u4", "met_long": "i4", "met_ulong": "u4"},
    **{"met_long_long": "i8", "met_ulong_long": "u8", "met_float": "f4", "met_double": "f8"},
}
# Names that MetaIO takes for the same field.
ALIASES = {
    **dict.fromkeys(("Position", "Origin"), "Offset"),
    **dict.fromkeys(("Rotation", "Orientation"), "TransformMatrix"),
    "ElementSize": "ElementSpacing",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
PLACE = ("ElementSpacing", "Offset", "TransformMatrix")
UNIT = 1e-3  # largest error of the length of an axis
# MetaIO's own name, and what people write. ITK copies others from NIfTI, such as xyzt_units.
UNITS = re.compile("((distance|space|spacing|element|elementspacing)[ _]?)?units?", re.I)
DATA_FILE = "ElementDataFile"  # the last field


def open_metaimage(path: Path) -> StoredImage:
    """Read the header of a MetaImage file.

    Raises:
        ValueError: It is damaged, has several channels, other units than mm, or no position in
            space.
    """
    fields, listed, end = _header(path)
    shape = axis_sizes(path, fields, "NDims", "DimSize")
    (channels,) = whole_numbers(
        path, "ElementNumberOfChannels", fields.get("ElementNumberOfChannels", "1"), 1
    )
    if channels != 1:
        raise ValueError(f"{path}: has {channels} channels; give an image with one channel")
    stored = one_of(path, "ElementType", needed(path, fields, "ElementType"), list(TYPES))
    is_big = _is_true(path, fields, "BinaryDataByteOrderMSB", False)
    dtype = np.dtype(TYPES[stored]).newbyteorder(">" if is_big else "<")
    files = _voxel_files(path, fields, listed, end)
    affine = np.eye(4) if len(shape) < 3 else _affine(path, fields, len(shape))
    return image_in_files(path, files, dtype, shape, affine)


def metaimage_files(path: Path) -> list[Path]:
    """Files of the voxels of a MetaImage header; its own path if they follow it.

    Raises:
        ValueError: The header is damaged.
    """
    return [one.path for one in _voxel_files(path, *_header(path))]


def _header(path: Path) -> tuple[dict[str, str], list[str], int]:
    """Fields, the lines that follow them, and the offset of the first byte that does."""
    head = read_start(path)
    end = re.search(rb"(?:^|\n)[ \t]*ElementDataFile[ \t]*=[^\n]*(?:\n|$)", head)
    if end is None:
        raise unreadable(path, f"not MetaImage: without {DATA_FILE}")
    fields: dict[str, str] = {}
    for line in head[: end.end()].decode("utf-8", "replace").split("\n"):
        name, equals, value = (part.strip() for part in line.partition("="))
        name = ALIASES.get(name, name)
        if not line.strip():
            continue
        if not equals or fields.setdefault(name, value) != value:
            raise unreadable(path, f"header line {line[:40]!r}")
    one_of(path, "ObjectType", fields.get("ObjectType", "Image"), ["image"])
    follows = head[end.end() :] if fields[DATA_FILE].startswith("LIST") else b""
    return fields, follows.decode("utf-8", "replace").splitlines(), end.end()


def _is_true(path: Path, fields: dict[str, str], name: str, default: bool) -> bool:
    said = one_of(path, name, fields.get(name, str(default)), ["true", "false", "1", "0"])
    return said in ("true", "1")


def _affine(path: Path, fields: dict[str, str], dimension: int) -> np.ndarray:
    lacking = [name for name in PLACE if name not in fields]
    if lacking:
        raise ValueError(
            f"{path}: without {', '.join(lacking)}, so that its place depends on the program that "
            f"reads it; add the line{'s' * (len(lacking) > 1)}, or save it with a position in space"
        )
    for name, value in fields.items():
        if UNITS.fullmatch(name):
            check_unit(path, value)
    if not math.isclose(_number(path, fields, "ElementToIntensityFunctionSlope", 1), 1) or _number(
        path, fields, "ElementToIntensityFunctionOffset", 0
    ):
        raise ValueError(
            f"{path}: ElementToIntensityFunction is not applied by all; save it applied"
        )
    spacing_mm = numbers(path, "ElementSpacing", fields["ElementSpacing"], dimension)[:3]
    check_spacing(path, spacing_mm)
    offset_lps = numbers(path, "Offset", fields["Offset"], dimension)[:3]
    text = fields["TransformMatrix"]
    rows = np.reshape(numbers(path, "TransformMatrix", text, dimension**2), (dimension, dimension))
    axes_lps = rows[:3, :3]  # a row for each axis of the image
    if not np.allclose(np.linalg.norm(axes_lps, axis=1), 1, rtol=0, atol=UNIT):
        raise ValueError(f"{path}: TransformMatrix: {text} has axes not of length 1; correct it")
    return itk_affine(offset_lps, spacing_mm, axes_lps.T.ravel())


def _number(path: Path, fields: dict[str, str], name: str, default: float) -> float:
    return numbers(path, name, fields.get(name, str(default)), 1)[0]


def _voxel_files(
    path: Path, fields: dict[str, str], listed: list[str], end: int
) -> list[VoxelFile]:
    encoding = "deflate" if _is_true(path, fields, "CompressedData", False) else "raw"
    if not _is_true(path, fields, "BinaryData", True):
        encoding = "text"
    skip = int(_number(path, fields, "HeaderSize", 0))
    if skip and (encoding != "raw" or skip < -1):
        raise ValueError(f"{path}: HeaderSize: {skip} cannot be; save it again")
    named = fields[DATA_FILE]
    if named.upper() == "LOCAL":
        files, start = [path], end
    else:
        files, start = files_named(path, named, listed), 0
    first = None if skip == -1 else start
    return [VoxelFile(one, encoding, first, skip_bytes=max(skip, 0)) for one in files]

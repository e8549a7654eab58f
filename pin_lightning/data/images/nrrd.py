"""NRRD files, read strictly: header by hand, voxels by NumPy (https://teem.sf.net/nrrd)."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.data.images.header_text import (
    HEADER_BYTES,
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

NRRD_SUFFIXES = (".nrrd", ".nhdr")
TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int"), "i2"),
    **dict.fromkeys(("int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int"), "u2"),
    **dict.fromkeys(("uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long"), "i8"),
    **dict.fromkeys(("signed long long int", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int"), "u8"),
    **dict.fromkeys(("uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
ENCODINGS = {
    "raw": "raw",
    **dict.fromkeys(("gzip", "gz"), "deflate"),
    **dict.fromkeys(("bzip2", "bz2"), "bzip2"),
    **dict.fromkeys(("txt", "text", "ascii"), "text"),
}
# Signs that turn the axes of a space to RAS.
SPACES = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1, 1, 1)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1, -1, 1)),
    **dict.fromkeys(("right-anterior-superior-time", "rast"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior-time", "last"), (-1, 1, 1)),
    **dict.fromkeys(("left-posterior-superior-time", "lpst"), (-1, -1, 1)),
}
ITK_TIME = "left-posterior-superior-time"  # what ITK means where it writes four axes without name
PLACE = {"space": "space", "spacedirections": "space directions", "spaceorigin": "space origin"}


@dataclass(frozen=True)
class NrrdHeader:
    """Fields of a header by their names in lower case without blanks, and what follows.

    Attributes:
        fields: Values as written.
        listed: Lines after ``data file: LIST``.
        end: Offset of the first byte after the header; None if the file ends with it.
    """

    fields: dict[str, str]
    listed: tuple[str, ...]
    end: int | None


def open_nrrd(path: Path) -> StoredImage:
    """Read the header of an NRRD file.

    Raises:
        ValueError: It is damaged, has several channels, other units than mm, or no position in
            space.
    """
    header = _header(path)
    fields = header.fields
    sizes = axis_sizes(path, fields, "dimension", "sizes")
    stored = one_of(path, "type", needed(path, fields, "type"), list(TYPES))
    dtype = np.dtype(TYPES[stored])
    if len(sizes) < 3:
        shape, affine = sizes, np.eye(4)
    else:
        shape, affine = _place(path, fields, sizes)
    files = _voxel_files(path, header)
    if dtype.itemsize > 1 and files[0].encoding != "text":
        order = one_of(path, "endian", needed(path, fields, "endian"), ["little", "big"])
        dtype = dtype.newbyteorder("<" if order == "little" else ">")
    return image_in_files(path, files, dtype, shape, affine)


def nrrd_files(path: Path) -> list[Path]:
    """Files of the voxels of an NRRD header; its own path if they follow it.

    Raises:
        ValueError: The header is damaged.
    """
    return [one.path for one in _voxel_files(path, _header(path))]


def _header(path: Path) -> NrrdHeader:
    head = read_start(path)
    if not re.match(rb"NRRD000[1-5]\r?\n", head):
        raise unreadable(path, "not NRRD")
    end = re.search(rb"\r?\n\r?\n", head)
    if end is None and len(head) == HEADER_BYTES:
        raise unreadable(path, "a header without end")
    text = head[: end.start()] if end else head
    lines = [line.rstrip("\r") for line in text.decode("utf-8", "replace").split("\n")[1:]]
    fields: dict[str, str] = {}
    for number, line in enumerate(lines):
        if not line.strip() or re.match("#|((?!: ).)*:=", line):  # remarks, key:=value
            continue
        name, colon, value = line.partition(":")
        name, value = re.sub(r"\s", "", name).lower(), value.strip()
        if not colon or name in fields:
            raise unreadable(path, f"header line {line[:40]!r}")
        fields[name] = value
        if name == "datafile" and re.fullmatch(r"LIST(\s+\d+)?", value):
            listed = tuple(lines[number + 1 :])
            break
    else:
        listed = ()
    return NrrdHeader(fields, listed, end.end() if end else None)


def _place(
    path: Path, fields: dict[str, str], sizes: list[int]
) -> tuple[list[int], Float64[np.ndarray, "4 4"]]:
    """Shape along the axes in space, and its affine."""
    if fields.get("spacedimension") == "4":
        fields = {"space": ITK_TIME, **fields}
    lacking = [name for key, name in PLACE.items() if key not in fields]
    if lacking:
        raise ValueError(
            f"{path}: without {', '.join(lacking)}, so that its place depends on the program that "
            f"reads it; save it with a position in space"
        )
    signs = SPACES.get(fields["space"].lower())
    if signs is None:
        raise ValueError(
            f"{path}: space: {fields['space']!r} has no left and right; save it in RAS or LPS"
        )
    vectors = re.findall(r"none|\([^()]*\)", fields["spacedirections"])
    if len(vectors) != len(sizes):
        raise ValueError(
            f"{path}: {len(vectors)} space directions of {len(sizes)} axes; correct them"
        )
    in_space = [axis for axis, vector in enumerate(vectors) if vector != "none"]
    channels = math.prod(size for axis, size in enumerate(sizes) if axis not in in_space)
    if channels != 1:
        raise ValueError(f"{path}: has {channels} channels; give an image with one channel")
    spatial = in_space[:3]  # a fourth is time
    units = {"spaceunits": range(3), "units": spatial}
    for name, axes in units.items():
        said = re.findall(r'"[^"]*"|\S+', fields.get(name, ""))
        for axis in axes:
            check_unit(path, said[axis].strip('"') if axis < len(said) else "")
    size = 4 if fields["space"].lower().endswith(("-time", "st")) else 3
    affine = np.eye(4)
    if len(spatial) == 3:
        vectors_in_space = [_vector(path, vectors[axis], size)[:3] for axis in spatial]
        affine[:3, :3] = np.transpose(vectors_in_space)
        affine[:3, 3] = _vector(path, fields["spaceorigin"], size)[:3]
    affine[:3] *= np.array(signs)[:, None]
    if len(spatial) == 3:
        check_spacing(path, np.linalg.norm(affine[:3, :3], axis=0))
    _check_spacings(path, fields, spatial, affine)
    return [sizes[axis] for axis in in_space], affine


def _check_spacings(
    path: Path, fields: dict[str, str], spatial: list[int], affine: Float64[np.ndarray, "4 4"]
) -> None:
    """Validate that spacings, which directions make superfluous, do not contradict these."""
    said = fields.get("spacings", "").split()
    for column, axis in enumerate(spatial if said else []):
        (spacing,) = numbers(path, "spacings", said[axis] if axis < len(said) else "", 1)
        side = float(np.linalg.norm(affine[:3, column]))
        if math.isfinite(spacing) and abs(spacing - side) > 1e-3 * side:
            raise ValueError(
                f"{path}: spacings: {fields['spacings']} contradicts its space directions; keep one"
            )


def _vector(path: Path, text: str, size: int) -> list[float]:
    inner = text.strip().removeprefix("(").removesuffix(")").replace(",", " ")
    return numbers(path, "space directions or origin", inner, size)


def _voxel_files(path: Path, header: NrrdHeader) -> list[VoxelFile]:
    fields = header.fields
    encoding = ENCODINGS[
        one_of(path, "encoding", needed(path, fields, "encoding"), list(ENCODINGS))
    ]
    lines, skip = (
        whole_numbers(path, name, fields.get(name, "0"), 1)[0] for name in ("lineskip", "byteskip")
    )
    if (skip and (encoding != "raw" or skip < -1)) or lines < 0:
        raise ValueError(f"{path}: byte skip: {skip}, line skip: {lines} cannot be; save it again")
    if "datafile" in fields:
        files, start = files_named(path, fields["datafile"], header.listed), 0
    elif header.end is None:
        raise unreadable(path, "no file of voxels is named")
    else:
        files, start = [path], header.end
    first = None if skip == -1 else start
    return [VoxelFile(one, encoding, first, lines, max(skip, 0)) for one in files]

"""Headers of text lines, as NRRD and MetaImage have: fields, numbers, files of voxels."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from pin_lightning.data.images.readable import check_is_file, readable, unreadable

HEADER_BYTES = 1 << 20  # more than any header that lists one file per slice
MAX_FILES = 10**4
MAX_DIMENSION = 16  # of NRRD; more than any image has
# One number as in slice%03d.raw, then first, last and step.
PATTERN = re.compile(r"([^%]*%0?\d?d[^%]*)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(?:\s+\d+)?")


def read_start(path: Path) -> bytes:
    """First bytes of a file, which hold its header.

    Raises:
        ValueError: It is no file, or cannot be read.
    """
    check_is_file(path)
    with readable(path), path.open("rb") as file:
        return file.read(HEADER_BYTES)


def needed(path: Path, fields: dict[str, str], name: str) -> str:
    """Value of a field.

    Raises:
        ValueError: The header has no such field.
    """
    if name not in fields:
        raise unreadable(path, f"its header has no {name}")
    return fields[name]


def numbers(path: Path, name: str, text: str, count: int) -> list[float]:
    """Numbers of a field, separated by blanks.

    Raises:
        ValueError: They are not `count` numbers.
    """
    values = text.split()
    try:
        if len(values) == count:
            return [float(value) for value in values]
    except ValueError:
        pass
    raise ValueError(f"{path}: {name}: {text[:80]!r} is not {count} numbers; correct the header")


def whole_numbers(path: Path, name: str, text: str, count: int) -> list[int]:
    """Whole numbers of a field, separated by blanks.

    Raises:
        ValueError: They are not `count` whole numbers.
    """
    values = numbers(path, name, text, count)
    if not all(value.is_integer() and abs(value) < 2**53 for value in values):
        raise ValueError(f"{path}: {name}: {text[:80]!r} is not whole; correct the header")
    return [int(value) for value in values]


def axis_sizes(path: Path, fields: dict[str, str], dimension: str, sizes: str) -> list[int]:
    """Voxels along each axis.

    Args:
        path: Header, for messages.
        fields: Its fields.
        dimension: Name of the field with the number of axes.
        sizes: Name of the field with their sizes.

    Raises:
        ValueError: A field is absent, or no such numbers.
    """
    (count,) = whole_numbers(path, dimension, needed(path, fields, dimension), 1)
    if not 1 <= count <= MAX_DIMENSION:
        raise ValueError(f"{path}: {dimension}: {count}; give a 3D image")
    return whole_numbers(path, sizes, needed(path, fields, sizes), count)


def one_of(path: Path, name: str, text: str, known: Sequence[str]) -> str:
    """Value of a field in lower case, which is one of those that are known.

    Raises:
        ValueError: It is another one.
    """
    if text.lower() not in known:
        raise ValueError(f"{path}: {name}: {text[:80]!r} is not read; save the image again")
    return text.lower()


def files_named(path: Path, value: str, listed: Sequence[str]) -> list[Path]:
    """Files of voxels that a header names: one, ``LIST`` with a line each, or a numbered pattern.

    Args:
        path: Header.
        value: Value of the field.
        listed: Lines that follow it.

    Raises:
        ValueError: There are none, or one is outside of the header's folder.
    """
    if re.fullmatch(r"LIST(\s+\d+)?", value):
        names = [line.strip() for line in listed if line.strip()]
    elif match := PATTERN.fullmatch(value):
        first, last, step = (int(number) for number in match.groups()[1:])
        if step == 0 or abs(last - first) // abs(step) >= MAX_FILES:
            raise _too_many(path, value)
        numbers = range(first, last + (1 if step > 0 else -1), step)
        names = [match[1] % number for number in numbers]
    else:
        names = [value] if value else []
    if not names:
        raise unreadable(path, "no file of voxels is named")
    if len(names) > MAX_FILES:
        raise _too_many(path, value)
    files = [_beside(path, name) for name in names]
    if files[0].resolve() == path.resolve():
        raise ValueError(f"{path}: names itself as the file of its voxels; correct the header")
    return files


def _too_many(path: Path, value: str) -> ValueError:
    return ValueError(f"{path}: files {value!r} are too many; correct the header")


def _beside(path: Path, name: str) -> Path:
    ways = (PurePosixPath(name), PureWindowsPath(name))
    if "\0" in name or any(way.anchor or ".." in way.parts for way in ways):
        raise ValueError(
            f"{path}: its voxels are in {name!r}, outside of its folder; put them beside it"
        )
    return path.parent / name

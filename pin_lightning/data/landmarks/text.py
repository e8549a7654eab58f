"""Text of landmark files: decoding, and positions written as text."""

import math
from collections.abc import Sequence
from pathlib import Path

# What people and programs write for "no value", in lower case.
MISSING = ("", "na", "n/a", "nan")


def read_text(path: Path) -> str:
    """Text of a UTF-8 file, with its line ends and without byte order mark.

    Raises:
        ValueError: The file cannot be read, is not UTF-8, or is empty.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    if not text.strip():
        raise ValueError(f"{path}: the file is empty; save it again or take it away")
    return text


def parse_position(where: str, cells: Sequence[str], decimal_comma: bool = False) -> list[float]:
    """A position from text.

    Args:
        where: File, line and landmark, for messages.
        cells: x, y, z.
        decimal_comma: ``1,5`` is one and a half.

    Returns:
        x, y, z; all NaN when none has a value.

    Raises:
        ValueError: Some are without value, or one is not a finite number.

    >>> parse_position("file", ["1", "2.5", "-3e2"])
    [1.0, 2.5, -300.0]
    """
    missing = [cell.strip().lower() in MISSING for cell in cells]
    if all(missing):
        return [math.nan] * 3
    if any(missing):
        raise ValueError(
            f"{where} has a position in part ({', '.join(cells)}); give x, y and z, or none of them"
        )
    pairs = zip("xyz", cells, strict=True)
    return [_parse_number(f"{where}, {axis}", cell, decimal_comma) for axis, cell in pairs]


def _parse_number(where: str, cell: str, decimal_comma: bool) -> float:
    text = cell.replace(",", ".") if decimal_comma else cell
    try:
        # Python alone reads 1_000 as a number.
        number = math.nan if "_" in text else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: {cell.strip()!r} is not a finite number; correct it")
    return number

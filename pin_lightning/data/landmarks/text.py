"""Text of landmark files: decoding, comments, rows of cells, numbers."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pin_lightning.common.spelling import one_spelling

MISSING = ("", "na", "n/a", "nan")  # cells without a value, in lower case


@dataclass(frozen=True)
class Row:
    """One row of a file.

    Attributes:
        line: Number of its (last) line in the file, from 1.
        cells: Its cells in one spelling, without blanks around them.
    """

    line: int
    cells: tuple[str, ...]


def read_text(path: Path) -> str:
    """Read a UTF-8 file, keeping its line ends, without byte order mark.

    Raises:
        ValueError: The file cannot be read, is not UTF-8, or is empty.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return decode_text(path, content)


def decode_text(path: Path, content: bytes) -> str:
    """As `read_text`, of the bytes of a file; `path` is for messages."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    if not text.strip():
        raise ValueError(f"{path}: the file is empty; save it again or take it away")
    return text


def split_comments(text: str) -> tuple[list[str], str]:
    r"""Split off the comment lines at the top; they are left blank, so line numbers stay.

    >>> split_comments("# frame = LPS\na,b\n")
    ([' frame = LPS'], '\na,b\n')
    """
    lines = list(io.StringIO(text, newline=""))
    comments = []
    for index, line in enumerate(lines):
        if line.startswith("#"):
            comments.append(line[1:].rstrip("\r\n"))
            lines[index] = "\n"
        elif line.strip():
            break
    return comments, "".join(lines)


def read_rows(path: Path, text: str, delimiter: str) -> list[Row]:
    """Split a text into rows of cells, without empty rows.

    Args:
        path: Source of the text, for messages.
        text: Rows; a cell in double quotes may hold the delimiter.
        delimiter: Separator of the cells.

    Raises:
        ValueError: A quoted cell is not closed, or goes on after its closing quote.
    """
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    rows = []
    try:
        for cells in reader:
            row = Row(reader.line_num, tuple(one_spelling(cell.strip()) for cell in cells))
            if any(row.cells):
                rows.append(row)
    except csv.Error as error:
        raise ValueError(
            f"{path}: line {reader.line_num}: not a valid row ({error}); correct its quotes"
        ) from error
    return rows


def quoted(cell: str) -> str:
    """Put a cell in quotes if it holds a delimiter, a quote or a line break.

    >>> quoted("left, upper")
    '"left, upper"'
    """
    if not set(cell) & set(',;\t"\r\n'):
        return cell
    return '"' + cell.replace('"', '""') + '"'


def parse_position(where: str, cells: Sequence[str], decimal_comma: bool = False) -> list[float]:
    """Convert the cells x, y, z to numbers; all NaN if none of them has a value.

    Args:
        where: File, line and landmark, for messages.
        cells: x, y, z.
        decimal_comma: ``1,5`` is one and a half.

    Raises:
        ValueError: Only some have a value, or one is not a finite number.

    >>> parse_position("file", ["1", "2.5", "-3e2"])
    [1.0, 2.5, -300.0]
    """
    missing = [cell.strip().lower() in MISSING for cell in cells]
    if all(missing):
        return [math.nan] * 3
    if any(missing):
        raise ValueError(f"{where} has a position in part ({', '.join(cells)}); give x, y and z")
    pairs = zip("xyz", cells, strict=True)
    return [_parse_number(f"{where}, {axis}", cell, decimal_comma) for axis, cell in pairs]


def _parse_number(where: str, cell: str, decimal_comma: bool) -> float:
    text = cell.replace(",", ".") if decimal_comma else cell
    try:
        number = math.nan if "_" in text else float(text)  # Python would read 1_000
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: {cell.strip()!r} is not a finite number; correct it")
    return number

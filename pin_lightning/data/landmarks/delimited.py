"""Delimited text: comment lines, then rows of cells that may be quoted."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = ("\t", ";", ",")  # a comma is also found within names and numbers: it comes last


@dataclass(frozen=True)
class Row:
    """One row of a file.

    Attributes:
        line: Number of its (last) line in the file, from 1.
        cells: Its cells without blanks around them.
    """

    line: int
    cells: tuple[str, ...]


def split_comments(text: str) -> tuple[list[str], str]:
    r"""Lines at the top that start with ``#``, without it, and the text with these lines blank.

    They are left blank, not out, so that the lines below keep their numbers.

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
    """Rows of a text, those without any content left out.

    Args:
        path: Where the text is from, for messages.
        text: Rows; a cell in double quotes may hold the delimiter.
        delimiter: What separates cells.

    Raises:
        ValueError: A quoted cell is not closed, or goes on after its closing quote.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    rows = []
    try:
        for cells in reader:
            row = Row(reader.line_num, tuple(cell.strip() for cell in cells))
            if any(row.cells):
                rows.append(row)
    except csv.Error as error:
        raise ValueError(
            f"{path}: line {reader.line_num}: not a valid row ({error}); correct its quotes"
        ) from error
    return rows


def quoted(cell: str) -> str:
    """A cell as it stands in a file: in quotes where anything in it could end it.

    >>> quoted("left, upper")
    '"left, upper"'
    """
    if not set(cell) & set(',;\t"\r\n'):
        return cell
    return '"' + cell.replace('"', '""') + '"'

"""Tables as text: CSV files and their numbers, and Markdown."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.common.spelling import one_spelling


def csv_number(value: float | None) -> str:
    """Format a number in full precision; None, NaN and infinity become an empty cell.

    >>> csv_number(0.1), csv_number(float("nan")), csv_number(None)
    ('0.1', '', '')
    """
    return "" if value is None or not np.isfinite(value) else repr(float(value))


def as_text(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would take for a formula.

    `read_text_cell` takes it away again; numbers stay.

    >>> as_text("=A1"), as_text("-1.5"), as_text("nose")
    ("'=A1", '-1.5', 'nose')
    """
    return f"'{cell}" if _is_formula(cell.lstrip("'")) else cell


def read_text_cell(cell: str) -> str:
    """A cell in one spelling, without the apostrophe of `as_text`.

    >>> read_text_cell("'=A1"), read_text_cell("'nose'")
    ('=A1', "'nose'")
    """
    shielded = cell.startswith("'") and _is_formula(cell.lstrip("'"))
    return one_spelling(cell[1:] if shielded else cell)


def _is_formula(text: str) -> bool:
    if text[:1] not in ("+", "-"):
        return text[:1] in ("=", "@", "\t", "\r")
    try:
        float(text)
    except ValueError:
        return len(text) > 1
    return False


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Format rows, the header among them, as CSV; text stays text (`as_text`).

    >>> print(csv_text([("name", "mm"), ("a, b", 1.5)]), end="")
    name,mm
    "a, b",1.5
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [as_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return text.getvalue()


def read_rows(
    path: str | Path, needed: Sequence[str] = (), numbers: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Read the rows of a CSV file by the names in its header; cells as by `read_text_cell`.

    Args:
        path: File in UTF-8.
        needed: Columns that every row must have.
        numbers: Columns of numbers; NaN for an empty cell or an absent column.

    Raises:
        ValueError: A needed cell is absent, or a number cannot be read; the message names file,
            line and column.
    """
    rows = []
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            reader.fieldnames = [read_text_cell(name) for name in reader.fieldnames or ()]
            if absent := [name for name in needed if name not in (reader.fieldnames or ())]:
                raise ValueError(f"lacks the column {absent[0]}; give {', '.join(needed)}")
            for row in reader:
                if absent := [name for name in needed if row[name] is None]:
                    raise ValueError(f"has no cell {absent[0]}; correct or delete that row")
                cells = {name: read_text_cell(cell) for name, cell in row.items() if name and cell}
                rows.append(row | cells | {name: _number(name, row.get(name)) for name in numbers})
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}: line {reader.line_num}: {error}") from error
    return rows


def _number(column: str, cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError as error:
        raise ValueError(f"{column} is {cell!r}; give a number") from error


def markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table that ends in a newline; all columns but the first align right.

    >>> print(markdown(["a", "b"], [["x", "1"]]), end="")
    | a | b |
    | --- | ---: |
    | x | 1 |
    """
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "".join(f"| {' | '.join(map(_markdown_cell, line))} |\n" for line in lines)


def _markdown_cell(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")

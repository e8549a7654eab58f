"""Tables as text: numbers of CSV files, and Markdown."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np


def csv_number(value: float | None) -> str:
    """Format a number in full precision; None, NaN and infinity become an empty cell.

    >>> csv_number(0.1), csv_number(float("nan")), csv_number(None)
    ('0.1', '', '')
    """
    return "" if value is None or not np.isfinite(value) else repr(float(value))


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Format rows, the header among them, as CSV.

    >>> print(csv_text([("name", "mm"), ("a, b", 1.5)]), end="")
    name,mm
    "a, b",1.5
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


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

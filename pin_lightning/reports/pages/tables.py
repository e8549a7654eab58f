"""Sortable tables of a page, and the format of their numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = "\u2013"


@dataclass(frozen=True)
class Column:
    """Head of a column.

    Attributes:
        title: Its text.
        hint: Tooltip.
        numeric: Whether its cells sort by value and are aligned to the right.
    """

    title: str
    hint: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: Its text.
        value: Sort key; None sorts by the text, or last in a numeric column.
        detail: Small text below.
        share: Length of the bar behind the text, 0 to 1; None draws no bar.
        tone: ``bad`` is highlighted, ``own`` marks the row of the run itself.
    """

    text: str
    value: float | None = None
    detail: str = ""
    share: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table that readers can sort by each column.

    Attributes:
        caption: For screen readers.
        columns: Heads.
        rows: One cell per column.
        short: Rows shown until a button is clicked; None shows all.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    short: int | None = None


def names(*titles: str) -> list[Column]:
    """Columns of text."""
    return [Column(title, numeric=False) for title in titles]


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(title) for title in titles]


def three_digits(value: float | None) -> str:
    """Format a number with three significant digits, as an integer from 1000 on.

    >>> [three_digits(value) for value in (0.18, 4.0223, 10.66, 1234.5, 0.0, None)]
    ['0.180', '4.02', '10.7', '1234', '0', '–']
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{_places(value)}f}" if value else "0"


def _places(value: float) -> int:
    """Decimal places of three significant digits, after rounding: 9.999 becomes 10.0."""
    if not value:
        return 0
    exponent = int(f"{abs(value):.2e}".split("e")[1])
    return max(0, 2 - exponent)


def range_text(ends: Sequence[float] | None, value: float | None) -> str:
    """Format an interval with the decimal places of its value.

    >>> range_text([0.17, 0.194], 0.18)
    '0.170 to 0.194'
    """
    if ends is None or value is None:
        return ""
    places = min(_places(value), 4) if value else 2
    return " to ".join(f"{end:.{places}f}" for end in ends)


def percent(share: float | None) -> str:
    """Format a share in percent, to a tenth below 100.

    >>> [percent(share) for share in (1.0, 0.9518, 0.05, 0.9999, None)]
    ['100', '95.2', '5.0', '99.9', '–']
    """
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if share in (0, 1):
        return f"{100 * share:.0f}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}"  # less than all never reads as 100


def number(value: float | None, ends: Sequence[float] | None = None, tone: str = "") -> Cell:
    """Cell of a number with its interval below."""
    return Cell(three_digits(value), _sortable(value), range_text(ends, value), tone=tone)


def barred(value: float | None, largest: float) -> Cell:
    """Cell of a number with a bar as long as its share of the largest."""
    known = _sortable(value)
    share = None if known is None or not largest > 0 else min(max(known / largest, 0.0), 1.0)
    return Cell(three_digits(value), known, share=share)


def share(value: float | None, ends: Sequence[float] | None = None) -> Cell:
    """Cell of a share in percent with its interval below."""
    interval = "" if ends is None else " to ".join(percent(end) for end in ends)
    return Cell(percent(value), _sortable(value), interval)


def count(value: int, tone: str = "") -> Cell:
    """Cell of a whole number."""
    return Cell(str(value), float(value), tone=tone)


def failures(value: int) -> Cell:
    """Cell of the number of failures, highlighted if there are any."""
    return count(value, "bad" if value else "")


def _sortable(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)

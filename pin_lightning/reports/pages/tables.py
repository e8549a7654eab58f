"""Tables of a page: cells that show one thing and sort by another, and how numbers are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = "\u2013"


@dataclass(frozen=True)
class Column:
    """Head of a column.

    Attributes:
        title: What stands there.
        hint: Said when the pointer rests on it.
        numeric: Whether its cells sort by their values and stand on the right.
    """

    title: str
    hint: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What stands there.
        value: What it is sorted by; none is sorted by the text, in a numeric column last.
        detail: Smaller, below.
        share: Length of the bar behind it, 0 to 1; none has no bar.
        tone: ``bad`` stands out, ``own`` is the row that the page is about.
    """

    text: str
    value: float | None = None
    detail: str = ""
    share: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table that a reader can sort by each column.

    Attributes:
        caption: Said to those who cannot see it.
        columns: Heads.
        rows: One cell for each column.
        short: Rows shown before a button asks for the rest; none shows all.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    short: int | None = None


def three_digits(value: float | None) -> str:
    """A number with three significant digits, whole from 1000 on.

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
    """Both ends of an interval, with the decimal places of the value it belongs to.

    >>> range_text([0.17, 0.194], 0.18)
    '0.170 to 0.194'
    """
    if ends is None or value is None:
        return ""
    places = min(_places(value), 4) if value else 2
    return " to ".join(f"{end:.{places}f}" for end in ends)


def percent(share: float | None) -> str:
    """A share in percent, to a tenth below 100.

    >>> [percent(share) for share in (1.0, 0.9518, 0.05, 0.9999, None)]
    ['100', '95.2', '5.0', '99.9', '–']
    """
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if share in (0, 1):
        return f"{100 * share:.0f}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}"  # what is not all must not read as 100


def number(value: float | None, ends: Sequence[float] | None = None, tone: str = "") -> Cell:
    """Cell of a number, with its interval below."""
    return Cell(three_digits(value), _sortable(value), range_text(ends, value), tone=tone)


def barred(value: float | None, largest: float, tone: str = "") -> Cell:
    """Cell of a number with a bar as long as its share of the largest."""
    known = _sortable(value)
    share = None if known is None or not largest > 0 else min(max(known / largest, 0.0), 1.0)
    return Cell(three_digits(value), known, share=share, tone=tone)


def share(value: float | None, ends: Sequence[float] | None = None) -> Cell:
    """Cell of a share, in percent."""
    interval = "" if ends is None else " to ".join(percent(end) for end in ends)
    return Cell(percent(value), _sortable(value), interval)


def count(value: int) -> Cell:
    """Cell of a whole number."""
    return Cell(str(value), float(value))


def _sortable(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)

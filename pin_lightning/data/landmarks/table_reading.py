"""CSV tables of landmarks: long (a row per landmark) or wide (a row per case)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pin_lightning.data.images.reading import stem
from pin_lightning.data.landmarks.delimited import Row, read_rows, split_comments
from pin_lightning.data.landmarks.framed import FRAMES, FramedLandmarks
from pin_lightning.data.landmarks.table_columns import (
    TableColumns,
    Triple,
    find_columns,
    find_delimiter,
)
from pin_lightning.data.landmarks.text import parse_position, read_text

# The name of the only case of a table without a column for it.
UNNAMED_CASE = ""


@dataclass(frozen=True)
class FramedTable:
    """The cases of a table, as it has them.

    Attributes:
        cases: Landmarks by case, in the order of the file; all in the same frame.
        subjects: Subject by case, of the cases that have one.
        frame: One of `FRAMES`, none when the file does not say.
    """

    cases: dict[str, FramedLandmarks]
    subjects: dict[str, str]
    frame: str | None


@dataclass(frozen=True)
class _Found:
    """What was found so far; filled row by row."""

    positions: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)


def read_framed_table(path: Path) -> FramedTable:
    """Landmarks of a CSV table of any number of cases, long or wide.

    Columns are known by their names (see `table_columns`), separated by comma, semicolon or tab;
    others are ignored. With semicolons, numbers may have a decimal comma. An empty position, or
    NA or NaN, is undefined. The frame is told by a column ``frame``, by the names of the coordinate
    columns, or by a line ``# frame = LPS`` above the header.

    Args:
        path: File.

    Raises:
        ValueError: The table is not valid.
    """
    comments, text = split_comments(read_text(path))
    delimiter = find_delimiter(text.strip().splitlines()[0] if text.strip() else "")
    rows = read_rows(path, text, delimiter)
    if len(rows) < 2:
        raise ValueError(f"{path}: has no rows of landmarks; add them below a header line")
    columns, body = find_columns(path, rows[0].cells), rows[1:]
    _check_widths(path, rows[0], body)
    frame = _frame(path, comments, columns, body)
    found = _Found()
    for row in body:
        _add_row(path, row, columns, decimal_comma=delimiter == ";", found=found)
    cases = {
        case: FramedLandmarks.of(path, list(positions), list(positions.values()), frame)
        for case, positions in found.positions.items()
    }
    return FramedTable(cases, found.subjects, frame)


def case_name(text: str) -> str:
    """Name of a case that is written as such, as an image file, or as a path.

    >>> case_name("scans/ANNA.nii.gz")
    'ANNA'
    """
    name = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    named = stem(Path(name)) if name else None
    return name if named is None else named


def _check_widths(path: Path, header: Row, rows: Sequence[Row]) -> None:
    for row in rows:
        if len(row.cells) != len(header.cells):
            raise ValueError(
                f"{path}: line {row.line}: has {len(row.cells)} cells, the header has "
                f"{len(header.cells)}; correct it, with double quotes around names with delimiters"
            )


def _frame(
    path: Path, comments: Sequence[str], columns: TableColumns, rows: Sequence[Row]
) -> str | None:
    """The frame that comments, column names and frame cells tell, all the same."""
    matches = [
        re.fullmatch(r"\s*(?:frame|coordinate_?system|space)\s*[=:](.*)", comment, re.IGNORECASE)
        for comment in comments
    ]
    written = {match.group(1).strip(' ,;\t"'): None for match in matches if match}
    for index in columns.frames:
        cells = {row.cells[index]: None for row in rows}
        written |= {} if cells.keys() == {""} else cells  # an empty column says nothing
    frames = {_one_frame(path, value): None for value in written}
    if columns.frame is not None:
        frames[columns.frame] = None
    if len(frames) > 1:
        raise ValueError(f"{path}: says both {' and '.join(frames)}; use one frame in a file")
    return next(iter(frames), None)


def _one_frame(path: Path, text: str) -> str:
    for frame in FRAMES:
        if text.lower() == frame.lower():
            return frame
    raise ValueError(f"{path}: says that its frame is {text!r}; write {', '.join(FRAMES)}")


def _add_row(
    path: Path, row: Row, columns: TableColumns, decimal_comma: bool, found: _Found
) -> None:
    case = _case(path, row, columns, found)
    positions = found.positions.setdefault(case, {})
    if columns.landmark is None and positions:
        what = f"case {case!r} has a second row" if case else "a second row, but no column case"
        raise ValueError(f"{path}: line {row.line}: {what}; give one row per case")
    for name, triple in _entries(path, row, columns):
        where = f"{path}: line {row.line}: landmark {name!r}"
        if name in positions:
            of_case = f" of case {case!r}" if case else ""
            raise ValueError(f"{where}{of_case} occurs twice; keep one row")
        cells = [row.cells[index] for index in triple]
        positions[name] = parse_position(where, cells, decimal_comma)


def _entries(path: Path, row: Row, columns: TableColumns) -> Iterator[tuple[str, Triple]]:
    """Landmarks of a row, and where their coordinates stand."""
    if columns.landmark is None:
        yield from columns.triples.items()
        return
    name = row.cells[columns.landmark]
    if not name:
        raise ValueError(f"{path}: line {row.line}: names no landmark; name every landmark")
    yield name, columns.triples[""]


def _case(path: Path, row: Row, columns: TableColumns, found: _Found) -> str:
    """Name of a row's case; keeps its spelling and its subject, which must stay the same."""
    written = UNNAMED_CASE if columns.case is None else row.cells[columns.case]
    case = case_name(written)
    if columns.case is not None and not case:
        raise ValueError(f"{path}: line {row.line}: names no case; give every row its case")
    subject = "" if columns.subject is None else row.cells[columns.subject]
    for what, value, of_case in (
        ("spelling", written, found.spellings),
        ("subject", subject, found.subjects),
    ):
        if value and of_case.setdefault(case, value) != value:
            raise ValueError(
                f"{path}: line {row.line}: case {case!r} has {what} {value!r} here and "
                f"{of_case[case]!r} above; make them the same"
            )
    return case

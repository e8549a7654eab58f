"""Reading CSV tables of landmarks: long (a row per landmark) or wide (a row per case)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pin_lightning.common.spelling import check_one_line, one_spelling
from pin_lightning.common.tables import read_text_cell
from pin_lightning.data.images.reading import stem
from pin_lightning.data.landmarks import table_columns, text
from pin_lightning.data.landmarks.framed import FRAMES, FramedLandmarks
from pin_lightning.data.landmarks.table_columns import TableColumns, Triple
from pin_lightning.data.landmarks.text import Row

YES, NO = ("", "1", "true"), ("0", "false")  # in a column "defined"
UNNAMED_CASE = ""  # the only case of a table without a case column


@dataclass(frozen=True)
class FramedTable:
    """The cases of a table in the frame of the file.

    Attributes:
        cases: Landmarks by case, in the order of the file; all in the same frame.
        subjects: Subject by case, of the cases that have one.
        frame: One of `FRAMES`; None if the file does not say.
    """

    cases: dict[str, FramedLandmarks]
    subjects: dict[str, str]
    frame: str | None


@dataclass(frozen=True)
class _Found:
    """Positions, subjects and written names by case; filled row by row."""

    positions: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)


def read_framed_table(path: Path, of_one_case: bool = False) -> FramedTable:
    """Read a CSV table of any number of cases, long or wide.

    Columns are identified by their names (see `table_columns`), separated by comma, semicolon, tab
    or what a first line ``sep=;`` says; others are ignored. Unless commas separate them, numbers
    may have a decimal comma. An empty position, NA or NaN is undefined, as is a landmark with 0 in
    a column ``defined``. The frame is given by a column ``frame``, by the names of the coordinate
    columns, or by a line ``# frame = LPS`` above the header.

    Args:
        path: The table.
        of_one_case: It is that of one case, whose landmarks a column ``id`` may number.

    Raises:
        ValueError: The table is not valid.
    """
    content, said = table_columns.split_delimiter(text.read_text(path))
    comments, table = text.split_comments(content)
    header = table.strip().splitlines()[0] if table.strip() else ""
    delimiter = said or table_columns.find_delimiter(header)
    rows = [
        Row(row.line, tuple(map(read_text_cell, row.cells)))
        for row in text.read_rows(path, table, delimiter)
    ]
    if len(rows) < 2:
        raise ValueError(f"{path}: has no rows of landmarks; add them below a header line")
    columns, body = table_columns.find_columns(path, rows[0].cells), rows[1:]
    _check_widths(path, rows[0], body)
    _check_units(path, columns, body)
    if of_one_case and columns.numbered and _names_each_once(columns, body):
        columns = replace(columns, case=None)
    if delimiter != ",":
        _check_marks(path, columns, body)
    frame = _frame(path, comments, columns, body)
    found = _Found()
    for row in body:
        _add_row(path, row, columns, decimal_comma=delimiter != ",", found=found)
    cases = {
        case: FramedLandmarks.of(path, list(positions), list(positions.values()), frame)
        for case, positions in found.positions.items()
    }
    return FramedTable(cases, found.subjects, frame)


def case_name(written: str) -> str:
    """Name of a case that is given by its name, its image file, or a path.

    >>> case_name("scans/ANNA.nii.gz")
    'ANNA'
    """
    name = re.split(r"[/\\]", written.rstrip("/\\"))[-1]
    named = stem(Path(name)) if name else None
    return one_spelling(name if named is None else named)


def _names_each_once(columns: TableColumns, rows: Sequence[Row]) -> bool:
    assert columns.landmark is not None
    return len({row.cells[columns.landmark] for row in rows}) == len(rows)


def _check_widths(path: Path, header: Row, rows: Sequence[Row]) -> None:
    for row in rows:
        if len(row.cells) != len(header.cells):
            raise ValueError(
                f"{path}: line {row.line}: has {len(row.cells)} cells, the header has "
                f"{len(header.cells)}; correct it, with double quotes around names with delimiters"
            )


def _check_units(path: Path, columns: TableColumns, rows: Sequence[Row]) -> None:
    for row in rows:
        for unit in (row.cells[index] for index in columns.units):
            if unit.lower() in table_columns.OTHER_UNITS:
                raise ValueError(
                    f"{path}: line {row.line}: its unit is {unit!r}; give positions in mm"
                )


def _check_marks(path: Path, columns: TableColumns, rows: Sequence[Row]) -> None:
    """Refuse decimal points beside commas: either may separate thousands."""
    lines: dict[str, int] = {}
    for row in rows:
        numbers = [row.cells[index] for triple in columns.triples.values() for index in triple]
        marks = {*(number.strip("+-0123456789eE") for number in numbers)}
        lines |= {mark: row.line for mark in ".," if mark in marks}
    if len(lines) > 1:
        raise ValueError(
            f"{path}: has numbers with points (line {lines['.']}) and with commas (line "
            f"{lines[',']}); use one of them, for decimals"
        )


def _frame(
    path: Path, comments: Sequence[str], columns: TableColumns, rows: Sequence[Row]
) -> str | None:
    """Frame given by comments, column names and frame cells, which must agree."""
    matches = [
        re.fullmatch(r"\s*(?:frame|coordinate_?system|space)\s*[=:](.*)", comment, re.IGNORECASE)
        for comment in comments
    ]
    written = {match.group(1).strip(' ,;\t"'): None for match in matches if match}
    for index in columns.frames:
        cells = {row.cells[index]: None for row in rows}
        written |= {} if cells.keys() == {""} else cells  # an empty column gives no frame
    frames = {_one_frame(path, value): None for value in written}
    if columns.frame is not None:
        frames[columns.frame] = None
    if len(frames) > 1:
        raise ValueError(f"{path}: says both {' and '.join(frames)}; use one frame in a file")
    return next(iter(frames), None)


def _one_frame(path: Path, written: str) -> str:
    for frame in FRAMES:
        if written.lower() == frame.lower():
            return frame
    raise ValueError(f"{path}: says that its frame is {written!r}; write {', '.join(FRAMES)}")


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
        cells = [row.cells[index] if _is_defined(where, row, columns) else "" for index in triple]
        positions[name] = text.parse_position(where, cells, decimal_comma)


def _is_defined(where: str, row: Row, columns: TableColumns) -> bool:
    cell = "" if columns.defined is None else row.cells[columns.defined].lower()
    if cell not in (*YES, *NO):
        raise ValueError(f"{where}: defined is {cell!r}; give 0 or 1")
    return cell not in NO


def _entries(path: Path, row: Row, columns: TableColumns) -> Iterator[tuple[str, Triple]]:
    """Landmarks of a row with the columns of their coordinates."""
    if columns.landmark is None:
        yield from columns.triples.items()
        return
    name = row.cells[columns.landmark]
    if not name:
        raise ValueError(f"{path}: line {row.line}: names no landmark; name every landmark")
    yield name, columns.triples[""]


def _case(path: Path, row: Row, columns: TableColumns, found: _Found) -> str:
    """Name of a row's case, after checking its spelling and subject against earlier rows."""
    written = UNNAMED_CASE if columns.case is None else row.cells[columns.case]
    case = case_name(written)
    if columns.case is not None and not case:
        raise ValueError(f"{path}: line {row.line}: names no case; give every row its case")
    check_one_line(f"{path}: line {row.line}", case)
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

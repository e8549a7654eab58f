"""3D Slicer's legacy point lists (.fcsv): comma-separated rows below comment lines."""

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

from pin_lightning.common.files import write_text
from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.spelling import one_spelling
from pin_lightning.data.landmarks import framed, text

STANDARD = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
# Slicer 5 writes two more cells than its columns line names.
UNNAMED = ("positionstatus", "")
PREVIEW, DEFINED = "1", "2"
STATUS = {"0": "undefined", PREVIEW: "preview", DEFINED: "defined", "3": "missing"}
NODE = "associatednodeid"


def read_fcsv(path: Path) -> framed.FramedLandmarks:
    """Read an ``.fcsv`` file of any version since Slicer 3.

    Names are the labels without blanks around them. A landmark is undefined without coordinates, or
    with a status other than defined. A comma with a blank after it, where the commas before have
    none, is one of a label or description that lacks its quotes.

    Raises:
        ValueError: The file is not a valid point list, or a comma may belong to a label or not.
    """
    comments, body = text.split_comments(text.read_text(path))
    columns = _columns(path, comments)
    lines = list(io.StringIO(body, newline=""))
    rows = [
        (row.line, _named_cells(path, row, lines[row.line - 1], columns))
        for row in text.read_rows(path, body, ",")
    ]
    names = [cells["label"] for _, cells in rows]
    previews = [cells["label"] for _, cells in rows if _status(cells) == PREVIEW]
    framed.warn_of_previews(path, previews)
    positions = [_position(path, line, cells) for line, cells in rows]
    return framed.FramedLandmarks.of(path, names, positions, _frame(path, comments))


def write_fcsv(
    path: Path,
    landmarks: LandmarkSet,
    descriptions: Sequence[str] | None = None,
    absent: str = "undefined",
) -> None:
    """Write an ``.fcsv`` file for 3D Slicer (LPS, mm); arguments and errors as `write_landmarks`.

    An undefined landmark is written at 0, 0, 0 with the status `absent`.
    """
    texts = framed.checked_descriptions(path, landmarks, descriptions)
    codes = {status: code for code, status in STATUS.items()}
    framed.check_plain_names(path, landmarks.names)
    lines = [
        "# Markups fiducial file version = 5.6",
        "# CoordinateSystem = LPS",
        f"# columns = {STANDARD},positionStatus",
        *(_line(landmarks, index, note, codes[absent]) for index, note in enumerate(texts)),
    ]
    write_text(path, "\n".join(lines) + "\n")


def _line(landmarks: LandmarkSet, index: int, description: str, absent: str) -> str:
    defined = bool(landmarks.defined[index])
    position_lps = flip_lps_ras(landmarks.positions_world[index]) if defined else [0.0] * 3
    x, y, z = (repr(float(value)) for value in position_lps)
    # Slicer reads line by line, quoted or not.
    label, note = map(text.quoted, (landmarks.names[index], " ".join(description.splitlines())))
    return f"{index + 1},{x},{y},{z},0,0,0,1,1,1,0,{label},{note},,{DEFINED if defined else absent}"


def _columns(path: Path, comments: Sequence[str]) -> tuple[str, ...]:
    written = _settings(comments, "columns")
    names = tuple(name.strip().lower() for name in (written or [STANDARD])[-1].split(","))
    absent = [name for name in ("label", "x", "y", "z") if names.count(name) != 1]
    if absent:
        said = f"its columns line does not name {', '.join(absent)} once"
        raise ValueError(f"{path}: {said}; save it again in 3D Slicer")
    return (*names, *UNNAMED) if names == tuple(STANDARD.lower().split(",")) else names


def _frame(path: Path, comments: Sequence[str]) -> str | None:
    written = set(_settings(comments, "CoordinateSystem"))
    unknown = sorted(value for value in written if value.upper() not in framed.SLICER_FRAMES)
    if unknown:
        what = "voxel indices (IJK)" if unknown[0].upper() in ("2", "IJK") else repr(unknown[0])
        raise ValueError(f"{path}: CoordinateSystem is {what}; save it in LPS or RAS")
    frames = sorted({framed.SLICER_FRAMES[value.upper()] for value in written})
    if len(frames) > 1:
        raise ValueError(f"{path}: CoordinateSystem is both {' and '.join(frames)}; keep one")
    return frames[0] if frames else None


def _settings(comments: Sequence[str], key: str) -> list[str]:
    """Values of the comment lines ``key = value``, without commas that a spreadsheet appended."""
    matches = [re.fullmatch(rf"\s*{key}\s*=(.*)", comment, re.IGNORECASE) for comment in comments]
    return [match.group(1).strip(" \t,") for match in matches if match]


def _named_cells(path: Path, row: text.Row, line: str, columns: tuple[str, ...]) -> dict[str, str]:
    """Cells by column; cells at the end of a row may be absent."""
    cut = [row.cells, _joined(row.cells, line, columns)]
    readings = [dict(zip(columns, cells, strict=False)) for cells in cut if _fits(cells, columns)]
    if not readings:
        raise ValueError(
            f"{path}: line {row.line}: has {len(row.cells)} cells, which do not fit its columns; "
            f"put a label or description with a comma in double quotes"
        )
    first, last = readings[0], readings[-1]
    if (first["label"], _status(first)) != (last["label"], _status(last)):
        raise ValueError(
            f"{path}: line {row.line}: the label may be {first['label']!r} or {last['label']!r}; "
            f"put a label or description with a comma in double quotes"
        )
    return first


def _fits(cells: Sequence[str], columns: tuple[str, ...]) -> bool:
    """Whether the number of cells, and those whose form is known, are as of the columns."""
    needed = 1 + max(columns.index(name) for name in ("label", "x", "y", "z"))
    if not needed <= len(cells) <= len(columns):
        return False
    node = cells[columns.index(NODE)] if NODE in columns[: len(cells)] else ""
    if node and not node.startswith("vtk"):
        return False
    unnamed = cells[len(columns) - len(UNNAMED) :] if columns[-1:] == UNNAMED[-1:] else ()
    # Slicer writes none of the two or both, and a spreadsheet two empty ones.
    return len(unnamed) != 1 and (not any(unnamed) or unnamed[-1].isdigit())


def _joined(cells: Sequence[str], line: str, columns: tuple[str, ...]) -> Sequence[str]:
    """The cells, with those that begin with a blank as part of the label or description before."""
    pieces, first = line.split(","), columns.index("label")
    if '"' in line or any(piece[:1] == " " for piece in pieces[: first + 1]):
        return cells
    joined = pieces[: first + 1]
    for piece in pieces[first + 1 :]:
        if piece[:1] == " ":
            joined[-1] += f",{piece}"
        else:
            joined.append(piece)
    return [one_spelling(cell.strip()) for cell in joined]


def _status(cells: dict[str, str]) -> str:
    return cells.get("positionstatus") or DEFINED


def _position(path: Path, line: int, cells: dict[str, str]) -> list[float]:
    where = f"{path}: line {line}: landmark {cells['label']!r}"
    status = _status(cells)
    if status not in STATUS:
        raise ValueError(f"{where} has positionStatus {status!r}; use {', '.join(STATUS)}")
    if status != DEFINED:
        return [math.nan] * 3
    return text.parse_position(where, [cells[axis] for axis in "xyz"])

"""3D Slicer's older point lists (.fcsv): comma-separated rows below comment lines."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from pin_lightning.common.files import write_text
from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.delimited import Row, quoted, read_rows, split_comments
from pin_lightning.data.landmarks.framed import (
    FramedLandmarks,
    check_plain_names,
    checked_descriptions,
)
from pin_lightning.data.landmarks.text import parse_position, read_text

STANDARD = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
# Slicer 5 writes two more cells than it names in the columns line.
UNNAMED = ("positionstatus", "")
# Slicer 4.10 and older wrote the number of its enumeration instead of the name.
SYSTEMS = {"RAS": "RAS", "LPS": "LPS", "0": "RAS", "1": "LPS"}
DEFINED = "2"
STATUS = {"0": "undefined", "1": "preview", DEFINED: "defined", "3": "missing"}


def read_fcsv(path: Path) -> FramedLandmarks:
    """Landmarks of an ``.fcsv`` file, any version since Slicer 3.

    Args:
        path: File.

    Returns:
        Landmarks named by their labels, without blanks around them; undefined without coordinates,
        or with a status other than defined.

    Raises:
        ValueError: The file is not a valid point list.
    """
    comments, text = split_comments(read_text(path))
    columns = _columns(path, comments)
    rows = [_named_cells(path, row, columns) for row in read_rows(path, text, ",")]
    names = [cells["label"] for _, cells in rows]
    positions = [_position(path, line, cells) for line, cells in rows]
    return FramedLandmarks.of(path, names, positions, _frame(path, comments))


def write_fcsv(
    path: Path, landmarks: LandmarkSet, descriptions: Sequence[str] | None = None
) -> None:
    """Write landmarks as an ``.fcsv`` file that 3D Slicer opens (LPS, mm).

    Args:
        path: File to write; its folder is made if absent.
        landmarks: Landmarks; an undefined one is written at 0, 0, 0 with the status undefined.
        descriptions: One free text per landmark, shown by Slicer beside it.

    Raises:
        ValueError: The number of descriptions is not that of the landmarks, or a name cannot be
            written.
    """
    texts = checked_descriptions(path, landmarks, descriptions)
    check_plain_names(path, landmarks.names)
    lines = [
        "# Markups fiducial file version = 5.6",
        "# CoordinateSystem = LPS",
        f"# columns = {STANDARD},positionStatus",
        *(_line(landmarks, index, text) for index, text in enumerate(texts)),
    ]
    write_text(path, "\n".join(lines) + "\n")


def _line(landmarks: LandmarkSet, index: int, description: str) -> str:
    defined = bool(landmarks.defined[index])
    position_lps = flip_lps_ras(landmarks.positions_world[index]) if defined else [0.0] * 3
    x, y, z = (repr(float(value)) for value in position_lps)
    text = " ".join(description.splitlines())  # Slicer reads line by line, quoted or not
    label = quoted(landmarks.names[index])
    return f"{index + 1},{x},{y},{z},0,0,0,1,1,1,0,{label},{quoted(text)},,{2 if defined else 0}"


def _columns(path: Path, comments: Sequence[str]) -> tuple[str, ...]:
    written = _settings(comments, "columns")
    names = tuple(name.strip().lower() for name in (written or [STANDARD])[-1].split(","))
    absent = [name for name in ("label", "x", "y", "z") if names.count(name) != 1]
    if absent:
        raise ValueError(
            f"{path}: its columns line does not name {', '.join(absent)} once; save it again in "
            f"3D Slicer"
        )
    return (*names, *UNNAMED) if names == tuple(STANDARD.lower().split(",")) else names


def _frame(path: Path, comments: Sequence[str]) -> str | None:
    written = set(_settings(comments, "CoordinateSystem"))
    unknown = sorted(value for value in written if value.upper() not in SYSTEMS)
    if unknown:
        what = "voxel indices (IJK)" if unknown[0].upper() in ("2", "IJK") else repr(unknown[0])
        raise ValueError(f"{path}: CoordinateSystem is {what}; save it in LPS or RAS")
    frames = sorted({SYSTEMS[value.upper()] for value in written})
    if len(frames) > 1:
        raise ValueError(f"{path}: CoordinateSystem is both {' and '.join(frames)}; keep one")
    return frames[0] if frames else None


def _settings(comments: Sequence[str], key: str) -> list[str]:
    """Values of the comment lines ``key = value``; a spreadsheet adds commas at their end."""
    matches = [re.fullmatch(rf"\s*{key}\s*=(.*)", comment, re.IGNORECASE) for comment in comments]
    return [match.group(1).strip(" \t,") for match in matches if match]


def _named_cells(path: Path, row: Row, columns: tuple[str, ...]) -> tuple[int, dict[str, str]]:
    """Line and cells by their columns; cells at the end of a row may be left out."""
    needed = 1 + max(columns.index(name) for name in ("label", "x", "y", "z"))
    if not needed <= len(row.cells) <= len(columns):
        raise ValueError(
            f"{path}: line {row.line}: has {len(row.cells)} cells, not {needed} to {len(columns)}; "
            f"put a label with a comma in double quotes"
        )
    return row.line, dict(zip(columns, row.cells, strict=False))


def _position(path: Path, line: int, cells: dict[str, str]) -> list[float]:
    where = f"{path}: line {line}: landmark {cells['label']!r}"
    status = cells.get("positionstatus") or DEFINED
    if status not in STATUS:
        raise ValueError(f"{where} has positionStatus {status!r}; use {', '.join(STATUS)}")
    if status != DEFINED:
        return [math.nan] * 3
    return parse_position(where, [cells[axis] for axis in "xyz"])

"""TableColumns: columns of a landmark table, from its header line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = ("\t", ";", ",")  # a comma also occurs within names and numbers: it comes last
# First line of a table by which a spreadsheet knows its delimiter.
_SEPARATOR = re.compile(r'"?sep=(?P<mark>[^\r\n])"?[ \t]*(?=[\r\n])', re.IGNORECASE)
_WIDE = re.compile(
    r"(?P<name>.*\S)[_. ](?P<axis>[xyz])(?:[_. ](?P<frame>lps|ras|voxel))?",
    re.IGNORECASE | re.DOTALL,
)
# Names of columns in lower case, in the order of preference.
CASE = ("case", "volume", "image", "file", "filename", "name", "id", "specimen", "scan")
LANDMARK = ("landmark", "label", "fiducial", "point")
SUBJECT = ("subject", "participant_id", "patient", "animal")
ROW_NUMBER = ("id", "name")  # of `CASE`: in the table of one case they may number its landmarks
DEFINED = "defined"  # of 3D Slicer's tables: 0 for a landmark without a position
FRAME = ("frame", "coordinate_system", "space")
UNIT = ("unit", "units")
# In a column of `UNIT`: lengths that are not mm.
OTHER_UNITS = {"m", "cm", "nm", "um", "\u00b5m", "\u03bcm", "micron", "microns", "in", "inch"}
OTHER_UNITS |= {"micrometer", "micrometers", "micrometre", "micrometres", "px", "pixel", "pixels"}
COORDINATES = {
    ("x", "y", "z"): None,
    ("x_lps", "y_lps", "z_lps"): "LPS",
    ("x_ras", "y_ras", "z_ras"): "RAS",
    ("x_voxel", "y_voxel", "z_voxel"): "voxel",
    ("i", "j", "k"): "voxel",
    ("l", "p", "s"): "LPS",  # as 3D Slicer exports tables
    ("r", "a", "s"): "RAS",
}

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class TableColumns:
    """Indices of the columns.

    Attributes:
        case: Column of the case; None in a file of one case.
        subject: Column of the subject.
        frames: Columns that name the frame.
        units: Columns that name the unit.
        frame: Frame given by the names of the coordinate columns.
        landmark: Column of the landmark in a long table; None in a wide one.
        defined: Column that tells whether the landmark of a row has a position.
        numbered: Whether the case column may instead number the landmarks of one case.
        triples: Columns of x, y, z by landmark; a long table has one triple, named "".
    """

    case: int | None
    subject: int | None
    frames: tuple[int, ...]
    units: tuple[int, ...]
    frame: str | None
    landmark: int | None
    defined: int | None
    numbered: bool
    triples: dict[str, Triple]


def split_delimiter(table: str) -> tuple[str, str | None]:
    r"""Split off a first line ``sep=;``, left blank, and give its delimiter, None without one.

    >>> split_delimiter("sep=;\na;b\n")
    ('\na;b\n', ';')
    """
    found = _SEPARATOR.match(table)
    return (table, None) if found is None else (table[found.end() :], found["mark"])


def find_delimiter(header: str) -> str:
    """Most frequent delimiter of a header line, outside quotes.

    >>> find_delimiter('case;"a, b, c_x"')
    ';'
    """
    outside = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=outside.count)


def find_columns(path: Path, header: Sequence[str]) -> TableColumns:
    """Find the columns of a long or a wide table.

    Args:
        path: File of the header, for messages.
        header: Names of the columns, in any case.

    Raises:
        ValueError: There are no or several sets of coordinates, a landmark lacks a coordinate, or a
            needed column is absent or occurs twice.
    """
    keys = [name.lower() for name in header]
    bare = _bare_coordinates(path, keys)
    case, landmark = _case_and_landmark(keys, long=bare is not None)
    if bare is not None and landmark is None:
        said = f"has {', '.join(bare)} but no column that names the landmark"
        raise ValueError(f"{path}: {said}; add one named landmark")
    if bare is None:
        triples, frame = _wide_triples(path, header)
    else:
        x, y, z = (_column(path, keys, name) for name in bare)
        triples, frame = {"": (x, y, z)}, COORDINATES[bare]
    return TableColumns(
        case=_index(path, keys, case),
        subject=_index(path, keys, _first(SUBJECT, keys)),
        frames=tuple(index for index, key in enumerate(keys) if key in FRAME),
        units=tuple(index for index, key in enumerate(keys) if key in UNIT),
        frame=frame,
        landmark=None if bare is None else _index(path, keys, landmark),
        defined=_index(path, keys, DEFINED if bare is not None and DEFINED in keys else None),
        numbered=bare is not None and case in ROW_NUMBER,
        triples=triples,
    )


def _bare_coordinates(path: Path, keys: Sequence[str]) -> tuple[str, str, str] | None:
    present = [triple for triple in COORDINATES if set(triple) <= set(keys)]
    if len(present) > 1:
        sets = " and ".join(", ".join(triple) for triple in present)
        raise ValueError(f"{path}: has coordinates {sets}; keep one of them")
    return present[0] if present else None


def _case_and_landmark(keys: Sequence[str], long: bool) -> tuple[str | None, str | None]:
    landmark = _first(LANDMARK, keys)
    if long and landmark is None and "name" in keys:
        landmark = "name"  # in a long table without another landmark column
    return _first([key for key in CASE if not long or key != landmark], keys), landmark


def _wide_triples(path: Path, header: Sequence[str]) -> tuple[dict[str, Triple], str | None]:
    """Columns of x, y, z by landmark, and the frame that all of their names give."""
    axes: dict[str, dict[str, int]] = {}
    said: set[str] = set()
    for index, column in enumerate(header):
        match = _WIDE.fullmatch(column)
        if match is None:
            continue
        said.add((match["frame"] or "").upper().replace("VOXEL", "voxel"))
        of_landmark = axes.setdefault(match["name"].strip(), {})
        if of_landmark.setdefault(match["axis"].lower(), index) != index:
            raise ValueError(f"{path}: has column {column!r} twice; keep one")
    if not axes:
        raise ValueError(
            f"{path}: its header ({', '.join(header)}) has no coordinates; name them x, y, z, or "
            f"NAME_x, NAME_y, NAME_z for each landmark"
        )
    for name, found in axes.items():
        absent = [f"{name}_{axis}" for axis in "xyz" if axis not in found]
        if absent:
            raise ValueError(f"{path}: has no column {', '.join(absent)}; a landmark needs x, y, z")
    if len(said) > 1:
        frames = " and ".join(sorted(frame or "no frame" for frame in said))
        raise ValueError(f"{path}: its columns say {frames}; name one frame in all, or in none")
    triples = {name: (found["x"], found["y"], found["z"]) for name, found in axes.items()}
    return triples, said.pop() or None


def _index(path: Path, keys: Sequence[str], name: str | None) -> int | None:
    return None if name is None else _column(path, keys, name)


def _column(path: Path, keys: Sequence[str], name: str) -> int:
    if keys.count(name) > 1:
        raise ValueError(f"{path}: has column {name!r} twice; keep one")
    return keys.index(name)


def _first(names: Sequence[str], keys: Sequence[str]) -> str | None:
    return next((name for name in names if name in keys), None)

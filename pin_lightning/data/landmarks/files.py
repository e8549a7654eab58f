"""Reading and writing landmark files of any format in world coordinates."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.spelling import one_spelling
from pin_lightning.data.landmarks.fcsv import read_fcsv, write_fcsv
from pin_lightning.data.landmarks.framed import FRAMES, FramedLandmarks
from pin_lightning.data.landmarks.markups import read_markups, write_markups
from pin_lightning.data.landmarks.table_reading import UNNAMED_CASE, read_framed_table
from pin_lightning.data.landmarks.table_writing import write_case_table

Way = TypeVar("Way")
CSV = ".csv"


def read_landmarks(
    path: str | Path, frame: str | None = None, image: str | Path | None = None
) -> LandmarkSet:
    """Read the landmarks of one case in the format of the file's suffix.

    The frame is never guessed: a wrong one would move landmarks without an error.

    Args:
        path: A file whose name ends in one of `LANDMARK_SUFFIXES`.
        frame: ``RAS``, ``LPS`` or ``voxel`` for a file that does not say; one that does must agree.
        image: Image of the case, needed for voxel indices.

    Returns:
        Landmarks in world RAS+ mm.

    Raises:
        ValueError: The suffix is unknown, the file is not valid, or its frame is not known.
    """
    path, image = Path(path), None if image is None else Path(image)
    read = _by_suffix(path, READERS, "read")
    framed = read(path)
    return framed.to_world(path, _agreed_frame(path, framed.frame, frame), image)


def write_landmarks(
    path: str | Path,
    landmarks: LandmarkSet,
    descriptions: Sequence[str] | None = None,
    absent: str = "undefined",
) -> None:
    """Write the landmarks of one case in the format of the file's suffix.

    The file names its frame and is written atomically.

    Args:
        path: A file whose name ends in one of `LANDMARK_SUFFIXES`; its folder is made if absent.
        landmarks: Landmarks; undefined ones are written as such.
        descriptions: One free text per landmark.
        absent: Status of undefined ones in Slicer's formats: ``undefined``, or ``missing`` for what
            was looked for and is not there.

    Raises:
        ValueError: The suffix is unknown, the number of descriptions is not that of the landmarks,
            or a name cannot be written.
    """
    path = Path(path)
    _by_suffix(path, WRITERS, "written")(path, landmarks, descriptions, absent)


def read_table(
    path: Path, frame: str | None = None, images: Mapping[str, Path] | None = None
) -> tuple[dict[str, LandmarkSet], dict[str, str]]:
    """Read the landmarks of many cases from one CSV table, long or wide.

    Args:
        path: The table (see `table_reading`).
        frame: As in `read_landmarks`.
        images: Images by case, needed for voxel indices.

    Returns:
        Landmarks in world RAS+ mm by case, in the order of the table, and subjects by case, of the
        cases that have one.

    Raises:
        ValueError: The table is not valid, does not name its cases, or its frame is not known.
    """
    table = read_framed_table(path)
    agreed = _agreed_frame(path, table.frame, frame)
    if UNNAMED_CASE in table.cases:
        raise ValueError(f"{path}: has no column that names the case; add one named case")
    cases = {
        case: framed.to_world(path, agreed, (images or {}).get(case), f" of case {case}")
        for case, framed in table.cases.items()
    }
    return cases, table.subjects


def _by_suffix(path: Path, ways: Mapping[str, Way], what: str) -> Way:
    for suffix, way in ways.items():
        if path.name.lower().endswith(suffix):
            return way
    raise ValueError(f"{path}: not a landmark file that can be {what}; use {', '.join(ways)}")


def _agreed_frame(path: Path, said: str | None, setting: str | None) -> str:
    if setting is not None and setting not in FRAMES:
        raise ValueError(f"data.frame={setting}: there is no such frame; give {', '.join(FRAMES)}")
    if said is None and setting is None:
        raise ValueError(
            f"{path}: does not say whether its x, y, z are RAS, LPS or voxel indices; "
            f"give data.frame=RAS, LPS or voxel"
        )
    if said is not None and setting is not None and said != setting:
        raise ValueError(
            f"{path}: says {said}, but data.frame={setting}; leave data.frame out, or correct "
            f"the file"
        )
    return str(said or setting)


def _read_case_table(path: Path) -> FramedLandmarks:
    table = read_framed_table(path, of_one_case=True)
    if len(table.cases) > 1:
        raise ValueError(
            f"{path}: holds {len(table.cases)} cases ({', '.join(list(table.cases)[:5])}, ...); "
            f"use data=csv for a table of many cases"
        )
    case, landmarks = next(iter(table.cases.items()))
    own = one_spelling(path.name[: -len(CSV)])
    # As text: `Path.exists` refuses names that are too long.
    if case not in (UNNAMED_CASE, own) and os.path.exists(f"{path.parent}/{case}{CSV}"):
        raise ValueError(
            f"{path}: its landmarks are those of case {case}, which has a file of its own; "
            f"correct the case, or take the file away"
        )
    return landmarks


# Longest suffix first where one ends in another.
READERS: dict[str, Callable[[Path], FramedLandmarks]] = {
    ".mrk.json": read_markups,
    ".fcsv": read_fcsv,
    CSV: _read_case_table,
}
WRITERS: dict[str, Callable[[Path, LandmarkSet, Sequence[str] | None, str], None]] = {
    ".mrk.json": write_markups,
    ".fcsv": write_fcsv,
    CSV: write_case_table,
}
LANDMARK_SUFFIXES: tuple[str, ...] = tuple(READERS)

"""Writing CSV tables of landmarks, in world RAS+ mm."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pin_lightning.common.files import write_text
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.delimited import quoted
from pin_lightning.data.landmarks.framed import check_plain_names, checked_descriptions
from pin_lightning.data.landmarks.table_reading import case_name


def write_case_table(
    path: Path, landmarks: LandmarkSet, descriptions: Sequence[str] | None = None
) -> None:
    """Write the landmarks of one case as a long table without a column for the case.

    Args:
        path: File to write; its folder is made if absent.
        landmarks: Landmarks; an undefined one has empty coordinates.
        descriptions: One free text per landmark, in a column of its own when given.

    Raises:
        ValueError: The number of descriptions is not that of the landmarks, or a name cannot be
            written.
    """
    check_plain_names(path, landmarks.names)
    header = ["landmark", "x", "y", "z", "frame"]
    rows = [
        [name, *cells, "RAS"]
        for name, cells in zip(landmarks.names, _cells(landmarks), strict=True)
    ]
    texts = checked_descriptions(path, landmarks, descriptions)
    if descriptions is not None:
        header = [*header, "description"]
        rows = [[*row, text] for row, text in zip(rows, texts, strict=True)]
    _write_rows(path, [header, *rows])


def write_table(path: Path, cases: Mapping[str, LandmarkSet], wide: bool = False) -> None:
    """Write the landmarks of many cases as one table.

    Args:
        path: File to write; its folder is made if absent.
        cases: Landmarks by case; an undefined one has empty coordinates.
        wide: A row per case with columns NAME_x, NAME_y, NAME_z; a landmark that a case lacks is
            undefined there. Otherwise a row per landmark.

    Raises:
        ValueError: There is no case, a case has no landmark, or a name cannot be written.
    """
    _check_cases(path, cases)
    _write_rows(path, _wide_rows(cases) if wide else _long_rows(cases))


def _check_cases(path: Path, cases: Mapping[str, LandmarkSet]) -> None:
    if not cases:
        raise ValueError(f"{path}: there are no cases to write; give at least one")
    check_plain_names(path, list(cases))
    for case, landmarks in cases.items():
        check_plain_names(path, landmarks.names)
        if len(landmarks) == 0:
            raise ValueError(f"{path}: case {case!r} has no landmarks; leave it out")
        if case_name(case) != case:
            raise ValueError(f"{path}: case {case!r} reads as {case_name(case)!r}; rename it")


def _long_rows(cases: Mapping[str, LandmarkSet]) -> list[list[str]]:
    rows = [
        [case, name, *cells, "RAS"]
        for case, landmarks in cases.items()
        for name, cells in zip(landmarks.names, _cells(landmarks), strict=True)
    ]
    return [["case", "landmark", "x", "y", "z", "frame"], *rows]


def _wide_rows(cases: Mapping[str, LandmarkSet]) -> list[list[str]]:
    names = list(dict.fromkeys(name for landmarks in cases.values() for name in landmarks.names))
    header = ["case", "frame", *(f"{name}_{axis}" for name in names for axis in "xyz")]
    rows = [
        [case, "RAS", *(cell for cells in _cells(landmarks.select(names)) for cell in cells)]
        for case, landmarks in cases.items()
    ]
    return [header, *rows]


def _cells(landmarks: LandmarkSet) -> list[list[str]]:
    """x, y, z of each landmark, so that reading gives the same number."""
    pairs = zip(landmarks.positions_world.tolist(), landmarks.defined.tolist(), strict=True)
    return [[repr(value) if defined else "" for value in position] for position, defined in pairs]


def _write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    write_text(path, "".join(",".join(map(quoted, row)) + "\n" for row in rows))

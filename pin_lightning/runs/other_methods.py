"""Predictions of other methods, read from another run or from any table of positions."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.runs.folder import PREDICTIONS

_CASE_COLUMNS = ("case", "volume")  # as in predictions.csv, and as infer.py writes
_AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class OtherMethod:
    """Positions predicted by another method.

    Attributes:
        name: Name of the method.
        path: File that was read.
        positions_world: Position by case and landmark, RAS+ mm.
        seconds: Median time for a volume, if the file says it.
    """

    name: str
    path: Path
    positions_world: Mapping[tuple[str, str], Float64[np.ndarray, "3"]]
    seconds: float | None

    def at(self, case: str, landmark: str) -> Float64[np.ndarray, "3"]:
        """Position of a landmark, NaN where the method gave none."""
        return self.positions_world.get((case, landmark), np.full(3, np.nan))


def read_others(others: Mapping[str, str]) -> list[OtherMethod]:
    """Read the methods of ``report.others``, a file by the name of each, by `read_other`."""
    return [read_other(name, Path(path)) for name, path in others.items()]


def read_other(name: str, path: Path) -> OtherMethod:
    """Read the positions of a method.

    The file is a run folder, its ``predictions.csv``, or a CSV with the columns ``case`` (or
    ``volume``), ``landmark``, ``x``, ``y``, ``z`` in world RAS+ mm, such as ``landmarks.csv`` of
    `infer.py`. Rows without a position are left out.

    Raises:
        ValueError: The file is absent, lacks a column or holds no position, or a row is damaged,
            there twice, or of another frame; the message names the setting.
    """
    file = path / PREDICTIONS if path.is_dir() else path
    setting = f"report.others.{name}={path}"
    if not file.is_file():
        raise ValueError(f"{setting}: there is no such file; give a run folder or a table")
    try:
        rows = _rows(file)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{setting}: {error}") from error
    positions: dict[tuple[str, str], np.ndarray] = {}
    for row in rows:
        if row.key in positions:
            case, landmark = row.key
            raise ValueError(f"{setting}: line {row.line}: {landmark} of {case} is there twice")
        positions[row.key] = row.position_world
    found = {key: one for key, one in positions.items() if np.isfinite(one).all()}
    if not found:
        raise ValueError(f"{setting}: has no position; give x, y and z in RAS+ mm")
    times = {row.key[0]: row.seconds for row in rows if np.isfinite(row.seconds)}
    seconds = float(np.median(list(times.values()))) if times else None
    return OtherMethod(name, file, found, seconds)


@dataclass(frozen=True, eq=False)
class _Row:
    line: int
    key: tuple[str, str]
    position_world: Float64[np.ndarray, "3"]
    seconds: float


def _rows(file: Path) -> list[_Row]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        columns = reader.fieldnames or ()
        case = next((name for name in _CASE_COLUMNS if name in columns), None)
        absent = [name for name in ("landmark", *_AXES) if name not in columns]
        if case is None or absent:
            lacking = absent[0] if absent else " or ".join(_CASE_COLUMNS)
            raise ValueError(
                f"lacks the column {lacking}; give case (or volume), landmark, x, y, z in RAS+ mm"
            )
        return [_row(row, case, reader.line_num) for row in reader]


def _row(row: Mapping[str, str | None], case: str, line: int) -> _Row:
    if (frame := row.get("frame") or "RAS") != "RAS":
        raise ValueError(f"line {line}: frame is {frame}; give positions in RAS+ mm")
    try:
        position = np.array([float(row[axis] or "nan") for axis in _AXES])
        seconds = float(row.get("seconds") or "nan")
    except ValueError as error:
        raise ValueError(f"line {line}: {error}; give numbers of mm") from error
    return _Row(line, (row[case] or "", row["landmark"] or ""), position, seconds)

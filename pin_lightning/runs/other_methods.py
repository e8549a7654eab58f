"""Predictions of other methods, read from another run or from any table of positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.tables import read_rows
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
        rows = read_rows(file, ("landmark", *_AXES), (*_AXES, "seconds"))
    except ValueError as error:  # names the file first
        raise ValueError(f"report.others.{name}={error}") from error
    positions: dict[tuple[str, str], np.ndarray] = {}
    times: dict[str, float] = {}
    for row in rows:
        case = next((row[column] for column in _CASE_COLUMNS if column in row), None)
        if case is None:
            raise ValueError(f"{setting}: lacks the column {' or '.join(_CASE_COLUMNS)}")
        what = f"{row['landmark']} of {case}"
        if (frame := row.get("frame") or "RAS") != "RAS":
            raise ValueError(f"{setting}: frame of {what} is {frame}; give positions in RAS+ mm")
        if (case, row["landmark"]) in positions:
            raise ValueError(f"{setting}: {what} is there twice")
        positions[case, row["landmark"]] = np.array([row[axis] for axis in _AXES])
        if np.isfinite(row["seconds"]):
            times[case] = row["seconds"]
    found = {key: one for key, one in positions.items() if np.isfinite(one).all()}
    if not found:
        raise ValueError(f"{setting}: has no position; give x, y and z in RAS+ mm")
    seconds = float(np.median(list(times.values()))) if times else None
    return OtherMethod(name, file, found, seconds)

"""Records of volumes: ``records/NAME.json``, written after all other files of a volume.

What has no record is not done. Numbers come back to the last digit.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pin_lightning.common.files import write_text
from pin_lightning.reports.pages.thumbnails import MiddleSlices
from pin_lightning.runs.doubts import Reviewed, ReviewedPose

RECORDS = "records"
_MOST_BYTES = 240  # of a name, so that a file may be named after it
# Arrays of all landmarks, with what they have of each.
_EACH: dict[str, tuple[int, ...]] = {"positions_world": (3,), "spread_mm": (), "outside": ()}
_MAY_BE_NONE = ("radius_mm", "near_border")


@dataclass(frozen=True)
class Failed:
    """A volume that could not be predicted, by the name that its outputs would have."""

    name: str
    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Record:
    """What became of a volume.

    Attributes:
        one: Its numbers, or why there are none.
        source: Its input, as of `InputFile.source`.
        stamp: Stamp of the input before it was read.
        by: What predicted it, as of `PredictionHeader.by`.
    """

    one: Reviewed | Failed
    source: str
    stamp: str
    by: str


class Records:
    """The records of an output folder.

    Args:
        folder: The output folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / RECORDS

    def write(self, record: Record) -> None:
        """Write a record, whole or not at all."""
        text = json.dumps(asdict(record), default=_plain, ensure_ascii=False)
        write_text(self._path(record.one.name, "json"), text + "\n")

    def read(self, name: str, by: str | None = None) -> Record | None:
        """Read the record of a volume; None where there is none, or a damaged one.

        Args:
            name: The volume.
            by: What predicted it; the record of another prediction is none, either.
        """
        record = self._read(self._path(name, "json"))
        return None if record is None or by not in (None, record.by) else record

    def names(self) -> Iterator[str]:
        """Names of all volumes that have a record."""
        for path in self.folder.glob("*.json"):
            if not path.name.startswith("."):
                yield path.name.removesuffix(".json")
            elif (record := self._read(path)) is not None:
                yield record.one.name

    def __iter__(self) -> Iterator[Record]:
        """Read all records, in the order of their files."""
        for name in sorted(path.name for path in self.folder.glob("*.json")):
            if (record := self._read(self.folder / name)) is not None:
                yield record

    def remove(self, name: str) -> None:
        """Remove what is recorded of a volume."""
        for ending in ("json", "npz"):
            self._path(name, ending).unlink(missing_ok=True)

    def keep_slices(self, name: str, slices: MiddleSlices) -> None:
        """Keep the slices of a volume for the review page: its image is not read again."""
        slices.save(self._path(name, "npz"))

    def slices(self, name: str) -> MiddleSlices | None:
        """Slices of a volume, if they were kept."""
        with suppress(OSError, ValueError, KeyError, EOFError, BadZipFile):
            return MiddleSlices.load(self._path(name, "npz"))
        return None

    def _read(self, path: Path) -> Record | None:
        """The record of a file; None if it is damaged, or says that it is of another volume."""
        record = _read(path)
        name = "" if record is None else record.one.name
        return record if Path(name).name == name and self._path(name, "json") == path else None

    def _path(self, name: str, ending: str) -> Path:
        encoded = name.encode()
        if len(encoded) > _MOST_BYTES or name.startswith("."):
            name = f".{hashlib.sha256(encoded).hexdigest()}"
        return self.folder / f"{name}.{ending}"


def _plain(value: np.ndarray) -> Any:
    return value.tolist()


def _read(path: Path) -> Record | None:
    try:
        content = json.loads(path.read_text("utf-8"))
        ways = (str(content[key]) for key in ("source", "stamp", "by"))
        return Record(_volume(content["one"]), *ways)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _volume(cells: dict[str, Any]) -> Reviewed | Failed:
    if "reason" in cells:
        return Failed(**cells)
    number = len(cells["positions_world"])
    arrays = {key: _array(cells[key], (number, *more)) for key, more in _EACH.items()}
    given = [key for key in _MAY_BE_NONE if cells[key] is not None]
    arrays |= {key: _array(cells[key], (number,)) for key in given}
    pose = None if cells["pose"] is None else ReviewedPose(**cells["pose"])
    return Reviewed(**{**cells, **arrays, "pose": pose, "remarks": tuple(cells["remarks"])})


def _array(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.array(values)
    if array.shape != shape:
        raise ValueError(f"{array.shape} instead of {shape}")
    return array

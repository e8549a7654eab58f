"""Results of each process in a file of its own, from which all are read again in order.

A line of a file is a volume as JSON; numbers come back to the last digit.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.common.files import errors_named
from pin_lightning.runs.doubts import Reviewed, ReviewedPose

_NAME = ".landmarks.part{}.jsonl"
_ARRAYS = ("positions_world", "spread_mm", "radius_mm", "outside", "near_border")


@dataclass(frozen=True)
class Failed:
    """A volume that could not be predicted, by the name that its outputs would have."""

    name: str
    path: Path
    reason: str


def slices_path(folder: Path, name: str) -> Path:
    """File of the slices of a volume, kept until it is known whether the review page shows it.

    No image is read again. In files, since there may be many volumes.
    """
    return folder / f".landmarks.part-{hashlib.sha256(name.encode()).hexdigest()}.npz"


@contextmanager
def writing_part(folder: Path, rank: int) -> Iterator[Callable[[Reviewed | Failed], None]]:
    """Open the file of a process in the folder of all, and give what adds a volume to it."""
    path = folder / _NAME.format(rank)

    def add(one: Reviewed | Failed) -> None:
        with errors_named(path):
            print(json.dumps(asdict(one), default=_plain), file=file, flush=True)

    with errors_named(path):
        file = path.open("w", encoding="utf-8")
    try:
        yield add
    finally:
        with errors_named(path):  # what a full disk did not take is written again
            file.close()


def read_parts(folder: Path, count: int, names: Sequence[str]) -> Iterator[Reviewed | Failed]:
    """Read the named volumes in order from `count` processes, each of which has every `count`-th.

    Raises:
        ValueError: A file or a volume is missing.
    """
    with ExitStack() as stack:
        paths = [folder / _NAME.format(rank) for rank in range(count)]
        if absent := [path.name for path in paths if not path.is_file()]:
            raise ValueError(
                f"output={folder}: lacks {absent[0]} of another process; "
                f"give a folder that all processes share"
            )
        files = [stack.enter_context(path.open(encoding="utf-8")) for path in paths]
        for index, name in enumerate(names):
            line = files[index % count].readline()
            one = _volume(line) if line.endswith("\n") else None
            if one is None or one.name != name:
                raise ValueError(f"{paths[index % count]}: lacks {name}; start again")
            yield one


@contextmanager
def without_parts(folder: Path) -> Iterator[None]:
    """Remove such files before and after the block, also those of an interrupted run.

    The block is that of the first process; the others begin inside it.
    """
    _remove_parts(folder)
    try:
        yield
    finally:
        _remove_parts(folder)


def _remove_parts(folder: Path) -> None:
    for path in folder.glob(".landmarks.part*"):
        path.unlink()


def _plain(value: np.ndarray | Path) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else str(value)


def _volume(line: str) -> Reviewed | Failed:
    cells: dict[str, Any] = json.loads(line)
    cells["path"] = Path(cells["path"])
    if "reason" in cells:
        return Failed(**cells)
    arrays = {key: None if cells[key] is None else np.array(cells[key]) for key in _ARRAYS}
    pose = None if cells["pose"] is None else ReviewedPose(**cells["pose"])
    return Reviewed(**{**cells, **arrays, "pose": pose, "remarks": tuple(cells["remarks"])})

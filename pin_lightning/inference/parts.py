"""What each of several processes predicts, in a file of its own, and all of it in order again.

A line of the file is a volume, as JSON. Numbers come back to the last digit.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.runs.doubts import Reviewed

_NAME = ".landmarks.part{}.jsonl"
# What is kept of a volume until it is known whether the review page shows it, so that no image is
# read again: in files, since there may be many volumes.
SLICES = ".landmarks.part-{}.npz"
_ARRAYS = ("positions_world", "spread_mm", "radius_mm", "outside")


@dataclass(frozen=True)
class Failed:
    """A volume that could not be predicted.

    Attributes:
        name: Of its outputs, were there any.
        path: The image.
        reason: What is wrong with it.
    """

    name: str
    path: Path
    reason: str


@contextmanager
def writing_part(folder: Path, rank: int) -> Iterator[Callable[[Reviewed | Failed], None]]:
    """The file of a process, to which volumes are added.

    Args:
        folder: Where all processes write theirs.
        rank: Number of the process.
    """
    with (folder / _NAME.format(rank)).open("w", encoding="utf-8") as file:
        yield lambda one: print(_line(one), file=file)


def read_parts(folder: Path, count: int, names: Sequence[str]) -> Iterator[Reviewed | Failed]:
    """Volumes of all processes, one after another, each exactly once.

    Args:
        folder: Where the files are.
        count: Processes; each has every `count`-th volume.
        names: Of the volumes, in order.

    Raises:
        ValueError: A volume is not where it should be.
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
    """A block before and after which there are no such files, not of what was broken off either.

    Args:
        folder: Where all processes write theirs. The block is that of the first process, and the
            others begin in it.
    """
    _remove_parts(folder)
    try:
        yield
    finally:
        _remove_parts(folder)


def _remove_parts(folder: Path) -> None:
    for path in folder.glob(".landmarks.part*"):
        path.unlink()


def _line(one: Reviewed | Failed) -> str:
    cells = {key: _plain(value) for key, value in asdict(one).items()}
    return json.dumps(cells)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _volume(line: str) -> Reviewed | Failed:
    cells: dict[str, Any] = json.loads(line)
    cells["path"] = Path(cells["path"])
    if "reason" in cells:
        return Failed(**cells)
    arrays = {key: None if cells[key] is None else np.array(cells[key]) for key in _ARRAYS}
    return Reviewed(**{**cells, **arrays})

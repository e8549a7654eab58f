"""Record of a prediction in its folder, ``prediction.json``, there before the first of its files.

So a later one knows which files are of an earlier prediction and may go, and which have to stay.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pin_lightning.common.files import write_json

RECORD = "prediction.json"
TABLES = ("landmarks.csv", "review.html")
FORMAT_VERSION = 1
_SHOWN = 3  # names in a message

log = logging.getLogger(__name__)


@contextmanager
def recorded(
    folder: Path, run: str, volumes: Mapping[str, Sequence[str]], replace: bool = False
) -> Iterator[None]:
    """Record a prediction in its folder, unfinished until the block ends without an error.

    Files of an earlier prediction are removed, so that none is taken for one of this prediction.

    Args:
        folder: Output folder.
        run: What predicts.
        volumes: Names of all volumes, each with the files that may be written for it.
        replace: Remove an earlier prediction also of volumes that are not predicted now.

    Raises:
        ValueError: The folder holds predictions of other volumes, or files that no prediction
            recorded and that would be overwritten.
    """
    before = _volumes_before(folder)
    others = [name for name in before if name not in volumes]
    if others and not replace:
        raise ValueError(
            f"output={folder}: holds predictions of other volumes ({_some(others)}); give another "
            f"folder, or replace=true to remove them"
        )
    known = {one for files in before.values() for one in files} | ({*TABLES} if before else set())
    written = [*TABLES, *(one for files in volumes.values() for one in files)]
    # A name may be too long for the system: `os.path` says that there is no such file.
    if foreign := [one for one in written if one not in known and os.path.lexists(folder / one)]:
        raise ValueError(
            f"output={folder}: holds {_some(foreign)}, which no prediction here recorded and this "
            f"one would overwrite; give another folder, or move them away"
        )
    content: dict[str, Any] = {"format_version": FORMAT_VERSION, "run": run, "finished": False}
    # Of both, so that after a kill in between all of them are known.
    write_json(folder / RECORD, {**content, "volumes": {**before, **volumes}})
    for one in known:
        if os.path.lexists(folder / one):
            (folder / one).unlink()
    write_json(folder / RECORD, {**content, "volumes": volumes})
    yield
    write_json(folder / RECORD, {**content, "finished": True, "volumes": volumes})


def _volumes_before(folder: Path) -> dict[str, list[str]]:
    """Volumes and files of an earlier prediction; none if it left no record."""
    path = folder / RECORD
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
        volumes = {str(name): list(map(str, files)) for name, files in content["volumes"].items()}
        inside = all(Path(one).name == one for files in volumes.values() for one in files)
        if content["format_version"] != FORMAT_VERSION or not inside:
            raise ValueError("of another version, or files elsewhere")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path}: is damaged ({' '.join(str(error).split())}); give another output folder, or "
            f"remove it with the predictions"
        ) from error
    return volumes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""LandmarkNames: the landmarks that are annotated, from a run, a setting or a person."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pin_lightning.annotation.annotation_files import read_points
from pin_lightning.annotation.on_disk import PRIVATE, SUFFIX
from pin_lightning.annotation.plain_files import read_plain
from pin_lightning.common.files import write_json
from pin_lightning.common.spelling import one_spelling
from pin_lightning.data.landmarks.files import READERS
from pin_lightning.data.landmarks.framed import check_plain_names

FILE = f"{PRIVATE}/landmarks.json"
MOST_NAMES, MOST_LETTERS = 1000, 200


class LandmarkNames:
    """Landmark names of a folder of annotations; those that a person gave are kept in it.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.names: tuple[str, ...] = self._read()
        self.is_of_run = False

    def set_by_run(self, names: Sequence[str]) -> None:
        """Take the names of a run."""
        self.names, self.is_of_run = tuple(names), True

    def set_by_person(self, names: Sequence[str]) -> None:
        """Take names that a person gave, and keep them.

        Raises:
            ValueError: They are those of a run, or cannot be used.
        """
        if self.is_of_run:
            raise ValueError("landmarks: are those of the run")
        self.names = checked_names(names)
        write_json(self._path, {"names": list(self.names)})

    def _read(self) -> tuple[str, ...]:
        try:
            return checked_names(json.loads(self._path.read_text("utf-8"))["names"])
        except (OSError, ValueError, KeyError, TypeError):
            return ()


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Landmark names in one spelling.

    Raises:
        ValueError: There are none or too many, two are the same, or one cannot be written.
    """
    spelt = [one_spelling(str(name).strip()) for name in names]
    if not 1 <= len(spelt) <= MOST_NAMES:
        raise ValueError(f"landmarks: {len(spelt)} names; give 1 to {MOST_NAMES}")
    if twice := sorted({name for name in spelt if spelt.count(name) > 1}):
        raise ValueError(f"landmarks: {', '.join(twice)} twice; make each name unique")
    for name in spelt:
        if len(name) > MOST_LETTERS or not name.isprintable():
            raise ValueError(f"landmarks: {name[:40]!r} cannot be a name; give a plain one")
    check_plain_names(Path("landmarks"), spelt)
    return tuple(spelt)


def names_in_file(path: Path) -> tuple[str, ...]:
    """Landmark names of a file: markups or a table of landmarks, or a text with a name a line.

    Raises:
        ValueError: It cannot be read.
    """
    for suffix, read in READERS.items():
        if path.name.lower().endswith(suffix):
            return checked_names(read(path).names)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"landmarks={path}: cannot be read as text; check the file") from error
    return checked_names([line for line in lines if line.strip()])


def names_in_files(folder: Path, volumes: Sequence[str]) -> tuple[str, ...]:
    """Landmark names of all markups files that lie in a folder already; damaged ones apart.

    Args:
        folder: The folder.
        volumes: Names of the volumes.
    """
    found = dict[str, None]()
    for name in volumes:
        with suppress(ValueError, OSError):
            path = folder / f"{name}{SUFFIX}"
            content = read_plain(path)
            found.update(dict.fromkeys({} if content is None else read_points(path, content)))
    return tuple(found)

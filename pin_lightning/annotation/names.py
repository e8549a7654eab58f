"""LandmarkNames: the landmarks that are annotated, from a run, a setting or a person."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pin_lightning.annotation.annotation_files import read_points
from pin_lightning.annotation.name_changes import NameChange
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

    Attributes:
        names: The names.
        unfinished: A change of them that is not in all files yet.
        is_of_run: Whether they are those of a run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.names, self.unfinished = self._read()
        self.is_of_run = False

    def change(self, change: NameChange) -> None:
        """Change one name, and keep that files are to be changed, too, until `finish`.

        Raises:
            ValueError: The names are those of a run, or cannot be changed so.
        """
        if self.is_of_run:
            raise ValueError("landmarks: are those of the run, which are fixed")
        if change.kind != "add" and change.name not in self.names:
            raise ValueError(f"landmarks: there is no landmark {change.name!r}")
        names = [name for name in self.names if change.kind != "remove" or name != change.name]
        if change.kind == "rename":
            names[names.index(change.name)] = change.new_name
        self.names = checked_names([*names, *[change.name] * (change.kind == "add")])
        self.unfinished = None if change.kind == "remove" else change
        self._write()

    def finish(self) -> None:
        """Note that all files are changed."""
        self.unfinished = None
        self._write()

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
        self._write()

    def _write(self) -> None:
        change = None if self.unfinished is None else asdict(self.unfinished)
        write_json(self._path, {"names": list(self.names), "change": change})

    def _read(self) -> tuple[tuple[str, ...], NameChange | None]:
        try:
            content = json.loads(self._path.read_text("utf-8"))
            change = content.get("change")
            return checked_names(content["names"]), None if change is None else NameChange(**change)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return (), None


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
        if not name or len(name) > MOST_LETTERS or not name.isprintable():
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

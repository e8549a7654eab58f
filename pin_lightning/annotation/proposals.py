"""Proposals: landmarks of volumes where no run predicts, by what is done."""

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pin_lightning.annotation.name_changes import NameChange
from pin_lightning.annotation.points import Position, Predicted
from pin_lightning.common.files import write_json

log = logging.getLogger(__name__)


class Proposals:
    """What was proposed for each volume, kept in a folder; one at a time is made, the last first.

    Args:
        folder: The folder.
        make: Makes the proposal for a volume by its id; None if it cannot.
        told: Is called with the id of a volume when its proposal is made, or cannot be.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[[str], Predicted | None],
        told: Callable[[str], None],
    ) -> None:
        self.folder, self._make, self._told = folder, make, told
        self._known = dict[str, Predicted]()
        self._numbers = Counter[str]()
        self._wanted = dict[str, None]()
        self._making = ""
        self._failed = set[str]()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        for path in folder.glob("*.json"):
            if (read := _read(path)) is not None:
                self._known[path.stem] = read

    def of(self, key: str) -> Predicted:
        """What is proposed for a volume; nothing where there is no proposal."""
        return self._known.get(key, {})

    def number_of(self, key: str) -> int:
        """How often something was proposed for a volume by this process."""
        return self._numbers[key]

    @property
    def waiting(self) -> int:
        """Volumes for which a proposal is wanted."""
        return len(self._wanted)

    def is_coming(self, key: str) -> bool:
        """Whether a proposal is being made for a volume, or is going to be."""
        with self._changed:
            return key in self._wanted or key == self._making

    def is_due(self, key: str) -> bool:
        """Whether there is no proposal for a volume, and none was found to be impossible."""
        return not self.of(key) and key not in self._failed

    def begin_anew(self) -> None:
        """Forget which were impossible: by more volumes that are done they may be possible."""
        self._failed.clear()

    def change(self, change: NameChange) -> None:
        """Let proposals have a landmark's new name; where one is added, they are made again."""
        for key in list(self._known):
            if change.kind == "rename":
                self._known[key] = change.renamed(dict(self._known[key]))
                write_json(self.folder / f"{key}.json", self._known[key])
            elif change.kind == "add":
                del self._known[key]
                (self.folder / f"{key}.json").unlink(missing_ok=True)

    def ask(self, key: str) -> None:
        """Ask for a proposal, anew if there is one."""
        with self._changed:
            self._wanted.pop(key, None)
            self._wanted[key] = None
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Make no more."""
        with self._changed:
            self._closed = True
            self._wanted.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while key := self._next():
            self._failed.add(key)
            try:
                if (made := self._make(key)) and not self._closed:
                    self._known[key] = made
                    self._failed.discard(key)
                    self._numbers[key] += 1
                    write_json(self.folder / f"{key}.json", made)
            except Exception:  # of a library, or of a full disk: the next one may go well
                log.exception("no proposal for %s", key)
            with self._changed:
                self._making = ""
            if not self._closed:
                self._told(key)

    def _next(self) -> str:
        with self._changed:
            while not self._wanted and not self._closed:
                self._changed.wait()
            self._making = "" if self._closed else self._wanted.popitem()[0]
            return self._making


def _read(path: Path) -> Predicted | None:
    try:
        found = dict[str, Position]()
        for name, (x, y, z) in json.loads(path.read_text("utf-8")).items():
            found[name] = (float(x), float(y), float(z))
        return found
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None

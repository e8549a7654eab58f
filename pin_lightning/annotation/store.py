"""AnnotationStore: landmarks that people save, each volume in a markups file with a version."""

import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pin_lightning.annotation.on_disk import BUSY, OnDisk
from pin_lightning.annotation.plain_files import Signature
from pin_lightning.annotation.points import Points
from pin_lightning.annotation.progress import Progress, Tally
from pin_lightning.annotation.saved import Annotation, Saving, VersionConflict


class AnnotationStore:
    """Annotations in a folder, which others, such as 3D Slicer, may change at any time.

    Safe for threads; one process at a time (`common.ownership`).

    Args:
        folder: The folder.
        names: Names of the volumes by their ids.
        is_complete: Whether points that somebody else saved are all that there are.
    """

    def __init__(
        self,
        folder: Path,
        names: Mapping[str, str],
        is_complete: Callable[[Points], bool] = lambda points: True,
    ) -> None:
        self.names = names
        self._disk = OnDisk(folder, names, is_complete)
        self._locks = {key: threading.Lock() for key in names}
        self._known = dict[str, tuple[Signature, Annotation]]()
        self._noticed = dict[str, None]()  # changes of others
        self._tally = Tally()

    def path(self, key: str) -> Path:
        """Markups file of a volume."""
        return self._disk.path(key)

    def read(self, key: str) -> Annotation:
        """What is saved of a volume.

        Raises:
            KeyError: There is no such volume.
        """
        with self._locks[key]:
            return self._read(key)

    def glance(self, key: str) -> Annotation:
        """What was saved of a volume when its file was last looked at: in the last second.

        Raises:
            KeyError: There is no such volume.
        """
        known = self._known.get(key)
        return self.read(key) if known is None else known[1]

    def save(self, key: str, version: int, saving: Callable[[Annotation], Saving]) -> Annotation:
        """Save the landmarks of a volume: whole or not at all, whenever this process is killed.

        Args:
            key: Id of the volume.
            version: Version that the person has seen.
            saving: What to save, by what is saved now.

        Raises:
            KeyError: There is no such volume.
            VersionConflict: Another version is saved now; nothing is written.
            OSError: The folder cannot be written to, or somebody else writes the file now.
        """
        with self._locks[key]:
            present, signature = self._read(key), self._known[key][0]
            if present.version != version:
                raise VersionConflict(present)
            if self._disk.signature(key) != signature:  # what it holds is not known yet
                raise BlockingIOError(errno.EAGAIN, BUSY)
            return self._note(key, *self._disk.write(key, signature, present, saving(present)))

    def progress(self) -> Progress:
        """How many volumes are done, of those that were looked at, and how long others may take."""
        return self._tally.of(len(self.names))

    def changed(self) -> Iterator[tuple[str, Annotation]]:
        """Volumes whose files somebody else has changed since this was last asked."""
        for key in self.names:
            if key in self._known:
                self.read(key)
        while self._noticed:
            key, _ = self._noticed.popitem()
            yield key, self._known[key][1]

    def _read(self, key: str) -> Annotation:
        signature, known = self._disk.signature(key), self._known.get(key)
        if known is not None and known[0] == signature:
            return known[1]
        found = self._disk.read(key)
        if found.problem and known is not None and self._disk.is_fresh(key):
            return known[1]  # half written; it is looked at again
        if known is not None and _is_older(found, known[1]):
            found = self._disk.put_back(key, known[1].version, found)
        if known is not None and found.version != known[1].version:
            self._noticed[key] = None
            if known[1].points and not found.points:
                self._disk.keep_points(key, known[1])
        return self._note(key, signature, found)

    def _note(self, key: str, signature: Signature, found: Annotation) -> Annotation:
        known = self._known.get(key)
        self._tally.change(None if known is None else known[1].state, found.state)
        self._known[key] = signature, found
        return found


def _is_older(found: Annotation, known: Annotation) -> bool:
    """Whether a file counts as a version from before what is known, or as that of another one."""
    if found.version != known.version:
        return found.version < known.version
    return found.state.digest != known.state.digest

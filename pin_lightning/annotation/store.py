"""AnnotationStore: landmarks that people save, each volume in a markups file with a version."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from pin_lightning.annotation.annotation_files import (
    SavedState,
    digest_of,
    points_text,
    read_points,
    read_state,
    write_state,
)
from pin_lightning.annotation.points import Point, Points
from pin_lightning.annotation.saved import Annotation, Saving, VersionConflict
from pin_lightning.common.files import remove_leftovers, whole_file

PRIVATE = ".pin_lightning"  # folder of what is not for users
SUFFIX = ".mrk.json"
SECONDS_TO_WRITE = 5.0  # for a program that does not write its file at once
Signature: TypeAlias = tuple[int, int, int] | None


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
        self.folder, self.names = folder, names
        self._states, self._kept = folder / PRIVATE / "state", folder / PRIVATE / "kept"
        self._is_complete = is_complete
        self._locks = {key: threading.Lock() for key in names}
        self._known = dict[str, tuple[Signature, Annotation]]()
        for one in (self._states, self._kept):
            one.mkdir(parents=True, exist_ok=True)
            remove_leftovers(one)
        remove_leftovers(folder)

    def path(self, key: str) -> Path:
        """Markups file of a volume."""
        return self.folder / f"{self.names[key]}{SUFFIX}"

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
            OSError: The folder cannot be written to.
        """
        with self._locks[key]:
            present = self._read(key)
            if present.version != version:
                raise VersionConflict(present)
            return self._write(key, present, saving(present))

    def changed(self) -> Iterator[tuple[str, Annotation]]:
        """Volumes whose files somebody else has changed since they were last looked at."""
        for key in self.names:
            with self._locks[key]:
                before = self._known.get(key)
                if before is None or before[0] == signature_of(self.path(key)):
                    continue
                after = self._read(key)
            if after.version != before[1].version:
                yield key, after

    def _read(self, key: str) -> Annotation:
        path, known = self.path(key), self._known.get(key)
        signature = signature_of(path)
        if known is not None and known[0] == signature:
            return known[1]
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            signature, content = None, None
        except OSError as error:
            return self._unreadable(key, f"{path.name}: cannot be read ({error.strerror})")
        annotation = self._described(key, content)
        if annotation.problem and known is not None and _is_fresh(path):
            return known[1]  # half written; it is looked at again
        self._known[key] = signature, annotation
        return annotation

    def _described(self, key: str, content: bytes | None) -> Annotation:
        """What is saved, by the content of the file and the state beside it."""
        problem, points = "", dict[str, Point]()
        try:
            points = {} if content is None else read_points(self.path(key), content)
        except ValueError as error:
            problem = " ".join(str(error).replace(str(self.folder) + os.sep, "").split())
        state, digest = read_state(self._state_path(key)), digest_of(content)
        for one in (state, None if state is None else state.before):
            if one is not None and one.digest == digest:
                return Annotation(one, points, problem)
        if state is None and content is None:
            return Annotation(SavedState(self.names[key]), points)
        adopted = self._adopted(key, state, digest, points)
        if not (problem and _is_fresh(self.path(key))):
            with suppress(OSError):  # then it is found out again the next time
                write_state(self._state_path(key), adopted)
        return Annotation(adopted, points, problem)

    def _adopted(
        self, key: str, state: SavedState | None, digest: str, points: Points
    ) -> SavedState:
        """State of a file that somebody else wrote."""
        if state is None:
            done = bool(points) and self._is_complete(points)
            return SavedState(self.names[key], 1, digest, done=done, saved_at=_now())
        return replace(
            state,
            version=state.version + 1,
            digest=digest,
            ours=False,
            done=state.done and bool(points),
            saved_at=_now(),
            before=None,
        )

    def _write(self, key: str, present: Annotation, saving: Saving) -> Annotation:
        path, before = self.path(key), present.state
        content = points_text(path, saving.points).encode()
        state = replace(
            before,
            version=before.version + 1,
            digest=digest_of(content),
            ours=True,
            done=saving.done,
            predicted=before.predicted or dict(saving.predicted or {}),
            by=before.by if before.predicted else saving.by,
            seconds=before.seconds + saving.seconds,
            saved_at=_now(),
            before=replace(before, before=None),
        )
        if not before.ours:
            self._keep(key, before.version)
        write_state(self._state_path(key), state)
        with whole_file(
            path, durable=saving.done
        ) as temporary:  # from here on the state above counts
            temporary.write_bytes(content)
            signature = signature_of(temporary)
        annotation = Annotation(state, saving.points)
        self._known[key] = signature, annotation
        return annotation

    def _keep(self, key: str, version: int) -> None:
        """Keep a copy of a file that somebody else wrote."""
        with suppress(FileNotFoundError):
            content = self.path(key).read_bytes()
            kept = self._kept / f"{key}-{version}-{digest_of(content)[:8]}{SUFFIX}"
            with whole_file(kept) as temporary:
                temporary.write_bytes(content)

    def _unreadable(self, key: str, problem: str) -> Annotation:
        known = self._known.get(key)
        state = read_state(self._state_path(key)) or SavedState(self.names[key])
        return Annotation(state, {}, problem) if known is None else known[1]

    def _state_path(self, key: str) -> Path:
        return self._states / f"{key}.json"


def signature_of(path: Path) -> Signature:
    """What tells whether a file has changed; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _is_fresh(path: Path) -> bool:
    with suppress(OSError):
        return abs(time.time() - path.stat().st_mtime) < SECONDS_TO_WRITE
    return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

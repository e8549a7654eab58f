"""OnDisk: the markups file of each volume, and its state, as they lie in a folder."""

import errno
import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pin_lightning.annotation.annotation_files import (
    SavedState,
    digest_of,
    points_text,
    read_points,
    read_state,
    write_state,
)
from pin_lightning.annotation.plain_files import Signature, read_plain, signature_of, stamp_of_file
from pin_lightning.annotation.points import Point, Points
from pin_lightning.annotation.saved import Annotation, Saving
from pin_lightning.common.files import remove_leftovers, whole_file

PRIVATE = ".pin_lightning"  # folder of what is not for users
SUFFIX = ".mrk.json"
BUSY = "another program is writing the file now; try again"
SECONDS_TO_WRITE = 5.0  # for a program that does not write its file at once


class OnDisk:
    """Files of annotations; one thread at a time for each volume.

    A state is written before the markups that it describes, with the state before it. So whenever
    this process is killed, the digest of the markups tells which of the two holds, and a third
    digest is that of a file that somebody else wrote.

    Args:
        folder: The folder.
        names: Names of the volumes by their ids.
        is_complete: Whether points that somebody else saved are all that there are.
    """

    def __init__(
        self, folder: Path, names: Mapping[str, str], is_complete: Callable[[Points], bool]
    ) -> None:
        self.folder, self.names, self._is_complete = folder, names, is_complete
        self._states, self._kept = folder / PRIVATE / "state", folder / PRIVATE / "kept"
        for one in (self._states, self._kept):
            one.mkdir(parents=True, exist_ok=True)
            remove_leftovers(one)
        remove_leftovers(folder)

    def path(self, key: str) -> Path:
        """Markups file of a volume."""
        return self.folder / f"{self.names[key]}{SUFFIX}"

    def signature(self, key: str) -> Signature:
        """What tells whether the markups file has changed."""
        return signature_of(self.path(key))

    def is_fresh(self, key: str) -> bool:
        """Whether the markups file was written just now, perhaps not to its end."""
        with suppress(OSError):
            return abs(time.time() - self.path(key).lstat().st_mtime) < SECONDS_TO_WRITE
        return False

    def read(self, key: str) -> Annotation:
        """What is saved of a volume; a file that somebody else wrote becomes a version."""
        path, problem, points = self.path(key), "", dict[str, Point]()
        stamp = stamp_of_file(path)
        state = read_state(self._state_path(key))
        try:
            content = read_plain(path)
            points = {} if content is None else read_points(path, content)
        except OSError as error:
            problem = f"{path.name}: cannot be read ({error.strerror})"
            return Annotation(state or SavedState(self.names[key]), {}, problem)
        except ValueError as error:
            problem = " ".join(str(error).replace(f"{self.folder}{os.sep}", "").split())
        digest = digest_of(content)
        if state is not None and state.digest == digest:
            return Annotation(state, points, problem)
        if state is not None and state.before is not None and state.before.digest == digest:
            found = Annotation(state.before, points, problem)
            is_broken_off = state.before_file in (None, stamp) and content is not None
            return found if is_broken_off else self.put_back(key, state.version, found)
        if state is None and content is None:
            return Annotation(SavedState(self.names[key]), points)
        adopted = self._adopted(key, state, digest, points)
        if not (problem and self.is_fresh(key)):
            with suppress(OSError):  # then it is found out again the next time
                write_state(self._state_path(key), adopted)
        return Annotation(adopted, points, problem)

    def put_back(self, key: str, last: int, found: Annotation) -> Annotation:
        """What somebody put back from before the last version: a version of its own.

        Else whoever has seen the version of the same number would save over what came after it.
        """
        state = replace(
            found.state,
            version=last + 1,
            ours=False,
            saved_at=_now(),
            before=None,
            before_file=None,
        )
        with suppress(OSError):  # then it is found out again the next time
            write_state(self._state_path(key), state)
        return replace(found, state=state)

    def write(
        self, key: str, signature: Signature, present: Annotation, saving: Saving
    ) -> tuple[Signature, Annotation]:
        """Save landmarks of a volume after `present`, whole or not at all.

        Args:
            key: Id of the volume.
            signature: Of the file that holds `present`.
            present: What is saved now.
            saving: What is to be saved.

        Raises:
            OSError: The folder cannot be written to, or somebody else writes the file now.
        """
        path, before = self.path(key), replace(present.state, before=None)
        content = points_text(path, saving.points).encode()
        known = {} if saving.renames else before.predicted
        state = replace(
            before,
            version=before.version + 1,
            digest=digest_of(content),
            ours=True,
            done=saving.done,
            predicted=known or dict(saving.predicted or {}),
            by=before.by if before.predicted else saving.by,
            seconds=before.seconds + saving.seconds,
            saved_at=_now(),
            before=before,
        )
        if not before.ours or present.problem:
            self._keep(key, before.version)
            signature = signature_of(path)  # none, if it was moved
        state = replace(state, before_file=stamp_of_file(path))
        write_state(self._state_path(key), state, durable=saving.done)
        with whole_file(path, durable=saving.done) as temporary:
            temporary.write_bytes(content)
            written = signature_of(temporary)
            if signature_of(path) != signature:
                write_state(self._state_path(key), before)
                raise BlockingIOError(errno.EAGAIN, BUSY)
        return written, Annotation(state, saving.points)

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
            before_file=None,
        )

    def keep_points(self, key: str, last: Annotation) -> None:
        """Keep the landmarks that were there before somebody damaged or removed the file."""
        content = points_text(self.path(key), last.points).encode()
        with suppress(OSError):  # of a full disk
            self._keep_content(key, last.version, content)

    def _keep(self, key: str, version: int) -> None:
        """Keep a copy of a file that somebody else wrote; a link stays where it points to."""
        try:
            content = read_plain(self.path(key))
        except OSError:
            self._keep_unread(key, version)
            return
        if content is not None:
            self._keep_content(key, version, content)

    def _keep_content(self, key: str, version: int, content: bytes) -> None:
        kept = self._kept / f"{key}-{version}-{digest_of(content)[:8]}{SUFFIX}"
        with whole_file(kept) as temporary:
            temporary.write_bytes(content)

    def _keep_unread(self, key: str, version: int) -> None:
        """Keep a file that cannot be read, or is too large: under another name, as it is."""
        path = self.path(key)
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return
        kept = self._kept / f"{key}-{version}-{found.st_mtime_ns:x}{SUFFIX}"
        try:
            os.link(path, kept)
        except FileExistsError:  # kept already, by a save that failed
            return
        except OSError:  # a disk without such names, or the file of another user
            path.rename(kept)

    def _state_path(self, key: str) -> Path:
        return self._states / f"{key}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

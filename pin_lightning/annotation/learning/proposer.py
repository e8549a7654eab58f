"""RegistrationProposer: landmarks of done volumes carried over, by a process of its own."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pin_lightning.annotation.learner import DoneVolume
from pin_lightning.annotation.points import Position, placed, points_of

log = logging.getLogger(__name__)

MOST_ATLASES = 3  # each takes about ten seconds a volume
ONE_CORE = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


class RegistrationProposer:
    """Proposals by atlas registration; safe for threads, one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock, self._closed = threading.Lock(), False

    def propose(self, path: Path, done: Sequence[DoneVolume]) -> Mapping[str, Position] | None:
        """Landmarks of a scan in world RAS+ mm, carried over from up to three done volumes.

        Args:
            path: The scan.
            done: Volumes that are done; those with the most landmarks are taken.

        Returns:
            None where the scan cannot be read, or may lie otherwise than was found.
        """
        atlases = atlases_of(done)
        if not atlases:
            return None
        request = {
            "path": str(path),
            "names": list(done[0].landmarks.names),
            "atlases": [
                {"path": str(one.path), "landmarks": placed(points_of(one.landmarks))}
                for one in atlases
            ],
        }
        with self._lock:
            answer = self._asked(request)
        if answer is None or "positions" not in answer:
            reason = "" if answer is None else answer.get("reason", "")
            log.warning("%s: nothing is proposed (%s)", path.name, reason or "the process ended")
            return None
        if answer["uncertain"]:
            log.warning("%s: nothing is proposed (where the anatomy lies is uncertain)", path.name)
            return None
        return {name: (x, y, z) for name, (x, y, z) in answer["positions"].items()}

    def close(self) -> None:
        """End the process."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _asked(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer of the process; None if it has ended, so that the next request starts one."""
        if self._closed:
            return None
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pin_lightning.annotation.registration.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                env={**os.environ, **dict.fromkeys(ONE_CORE, "1")},
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            if line := self._process.stdout.readline():
                answer: dict[str, Any] = json.loads(line)
                return answer
        return None


def atlases_of(done: Sequence[DoneVolume]) -> list[DoneVolume]:
    """Volumes with the most landmarks, at most three; none without any landmark."""
    known = [one for one in done if one.landmarks.defined.any()]
    return sorted(known, key=lambda one: (-int(one.landmarks.defined.sum()), one.name))[
        :MOST_ATLASES
    ]

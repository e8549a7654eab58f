"""How far an annotation has come."""

import threading
from dataclasses import dataclass

from pin_lightning.annotation.annotation_files import SavedState


@dataclass(frozen=True)
class Progress:
    """How far the annotation has come.

    Attributes:
        done: Volumes that are done.
        total: All volumes.
        minutes_left: Time for the others, by that of those that were timed; None without any.
    """

    done: int
    total: int
    minutes_left: float | None


class Tally:
    """Volumes that are done, counted as they change: of many, nobody counts all at each save.

    Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = self._timed = 0
        self._seconds = 0.0

    def change(self, before: SavedState | None, now: SavedState) -> None:
        """Count a volume as it is now instead of as it was; None if it was not counted yet."""
        with self._lock:
            for state, sign in ((before, -1), (now, 1)):
                if state is not None and state.done:
                    self._done += sign
                    self._timed += sign * (state.seconds > 0)
                    self._seconds += sign * state.seconds

    def of(self, total: int) -> Progress:
        """Progress with all volumes."""
        with self._lock:
            done, timed, seconds = self._done, self._timed, self._seconds
        minutes = round((total - done) * seconds / timed / 60, 1) if timed else None
        return Progress(done, total, minutes)

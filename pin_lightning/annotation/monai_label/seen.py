"""Versions of labels that clients have seen, which the protocol has no place for."""

import threading
from collections import OrderedDict

MOST = 10_000  # pairs of a client and an image, after which the oldest are forgotten


class SeenVersions:
    """The newest version of each image that a client was shown; safe for threads.

    A client is what calls itself so (``client_id``); those that say nothing count as one, and what
    one of them saves is not noted, as another one has not seen it.
    """

    def __init__(self) -> None:
        self._versions = OrderedDict[tuple[str, str], int]()
        self._lock = threading.Lock()

    def note(self, client: str, key: str, version: int) -> None:
        """Note what a client was shown."""
        with self._lock:
            self._versions[client, key] = version
            self._versions.move_to_end((client, key))
            while len(self._versions) > MOST:
                self._versions.popitem(last=False)

    def of(self, client: str, key: str) -> int:
        """The version that a client was shown last; 0 if none."""
        with self._lock:
            return self._versions.get((client, key), 0)

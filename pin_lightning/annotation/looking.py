"""Who looks at which volume now."""

import threading
import time
from collections.abc import Callable

SECONDS = 30.0  # for which a tab that has said nothing counts as looking
MOST_TABS = 1000


class Looking:
    """Tabs that have a volume open; safe for threads.

    Args:
        clock: Time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tabs = dict[str, tuple[str, float]]()  # volume and time by tab
        self._lock = threading.Lock()

    def note(self, volume: str, tab: str, closed: bool = False) -> bool:
        """Note that a tab has a volume open, or has closed it; whether that is new."""
        with self._lock:
            self._forget()
            was_open = self._tabs.get(tab, ("", 0.0))[0] == volume
            if not closed:
                self._tabs[tab] = volume, self._clock()
            elif was_open:
                del self._tabs[tab]
            while len(self._tabs) > MOST_TABS:
                del self._tabs[next(iter(self._tabs))]
            return was_open == closed

    def at(self, volume: str) -> list[str]:
        """Tabs that have a volume open."""
        with self._lock:
            self._forget()
            return sorted(tab for tab, (one, _) in self._tabs.items() if one == volume)

    def _forget(self) -> None:
        now = self._clock()
        for tab in [tab for tab, (_, then) in self._tabs.items() if now - then > SECONDS]:
            del self._tabs[tab]

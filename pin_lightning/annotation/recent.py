"""What was used most recently, within a bound of memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Recent:
    """Values that are costly to make, the least recently used of which are forgotten first.

    Those who ask for the same one at once wait until it is made.

    Args:
        most_bytes: Bound of what is kept; the newest is kept whatever its size.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._values = OrderedDict[Hashable, tuple[Any, int]]()
        self._making = dict[Hashable, threading.Lock]()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[Value, int]]) -> Value:
        """The value of a key.

        Args:
            key: The key.
            make: Makes it, with its size in bytes, if it is not there.
        """
        if (known := self._find(key)) is None:
            with self._lock:
                making = self._making.setdefault(key, threading.Lock())
            with making:
                if (known := self._find(key)) is None:
                    known = make()
                    self._keep(key, known)
                self._making.pop(key, None)
        value: Value = known[0]
        return value

    def _find(self, key: Hashable) -> tuple[Any, int] | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def _keep(self, key: Hashable, made: tuple[Any, int]) -> None:
        with self._lock:
            self._values[key] = made
            while len(self._values) > 1 and self.bytes > self.most_bytes:
                self._values.popitem(last=False)

    @property
    def bytes(self) -> int:
        """Size of all that is kept."""
        return sum(size for _, size in self._values.values())

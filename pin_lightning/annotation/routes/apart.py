"""Threads of their own for what takes long, so that saving never waits for it."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

Result = TypeVar("Result")
MOST_AT_ONCE = 8


class Apart:
    """Calls functions in threads, at most some at a time, however many other requests there are."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None  # made where there is an event loop

    async def __call__(self, function: Callable[[], Result]) -> Result:
        """The result of a function."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(MOST_AT_ONCE)
        return await to_thread.run_sync(function, limiter=self._limiter)

"""Server-sent events: what has changed, to all pages that listen."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

SECONDS_ALIVE = 15.0  # between comments that keep a connection open
MOST_WAITING = 1000  # events of a page that does not listen
MOST_LISTENERS = 200


class Events:
    """Tells listeners what has changed; safe for threads."""

    def __init__(self) -> None:
        self._listeners = set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[str | None]]]()
        self._lock = threading.Lock()
        self._closed = False

    def publish(self, kind: str, content: dict[str, Any]) -> None:
        """Tell all listeners.

        Args:
            kind: Name of the event: ``volume``, ``progress``, ``training`` or ``session``.
            content: What has changed, as JSON has it.
        """
        text = json.dumps(content, ensure_ascii=True, allow_nan=False)
        self._send(f"event: {kind}\ndata: {text}\n\n")

    @property
    def is_full(self) -> bool:
        """Whether as many listen as may."""
        return len(self._listeners) >= MOST_LISTENERS

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._send(None)

    async def stream(self) -> AsyncIterator[str]:
        """Lines for one listener, until it goes or `close` is called."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(MOST_WAITING)
        listener = (asyncio.get_running_loop(), queue)
        with self._lock:
            self._listeners.add(listener)
        try:
            yield "retry: 2000\n\n"
            while not self._closed:
                try:
                    text = await asyncio.wait_for(queue.get(), SECONDS_ALIVE)
                except TimeoutError:
                    text = ": alive\n\n"
                if text is None:
                    return
                yield text
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _send(self, text: str | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for loop, queue in listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, queue, text)


def _put(queue: asyncio.Queue[str | None], text: str | None) -> None:
    """Put an event; of a listener that does not listen the oldest one goes."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(text)

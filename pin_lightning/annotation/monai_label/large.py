"""Requests with large files, which lie on the disk while they are answered."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from pin_lightning.annotation.guard import MOST_BODY

AT_ONCE = 2


def few_large_at_once() -> type[APIRoute]:
    """Class of routes that read few large requests at once; further ones wait, unread."""
    room = asyncio.Semaphore(AT_ONCE)

    class LargeRoute(APIRoute):
        """A route that waits for room before it reads a large request."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """The function that answers a request."""
            answer = super().get_route_handler()

            async def answer_with_room(request: Request) -> Response:
                if not _is_large(request):
                    return await answer(request)
                async with room:
                    return await answer(request)

            return answer_with_room

    return LargeRoute


def _is_large(request: Request) -> bool:
    """Whether a request is large, or does not say."""
    length = request.headers.get("content-length")
    chunked = "transfer-encoding" in request.headers
    return chunked or (length is not None and int(length) > MOST_BODY)

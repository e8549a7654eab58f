"""Ids of volumes in paths of requests."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import HTTPException
from fastapi import Path as InPath

from pin_lightning.annotation.session import Session

Key = Annotated[str, InPath(description="Id of a volume")]


def known_in(session: Session) -> Callable[[str], Awaitable[str]]:
    """Function that gives an id back, or ends the request with 404."""

    async def known(volume: Key) -> str:  # else FastAPI asks in a thread
        if volume not in session.scans:
            raise HTTPException(404, "there is no such volume")
        return volume

    return known


@contextmanager
def refusals() -> Iterator[None]:
    """Let a ValueError in the block be the answer 422."""
    try:
        yield
    except ValueError as error:
        raise HTTPException(422, " ".join(str(error).split())) from error

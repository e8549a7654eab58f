"""Route of events."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse

from pin_lightning.annotation.session import Session

KIND = "text/event-stream"


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    routes = APIRouter(prefix="/api", tags=["events"])

    @routes.get(
        "/events",
        responses={200: {"content": {KIND: {"schema": {"type": "string"}}}}},
        response_class=StreamingResponse,
    )
    async def get_events() -> StreamingResponse:
        if session.events.is_full:
            raise HTTPException(503, "too many pages listen")
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(session.events.stream(), media_type=KIND, headers=headers)

    return routes

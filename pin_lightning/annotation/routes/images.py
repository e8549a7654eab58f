"""Routes of images."""

import gzip
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Query
from fastapi.responses import Response

from pin_lightning.annotation.frames import ViewFrame
from pin_lightning.annotation.routes.apart import Apart
from pin_lightning.annotation.routes.known import known_in, refusals
from pin_lightning.annotation.session import Session

KIND = "application/octet-stream"
FrameName = Annotated[Literal["scanner", "anatomical"], Query()]
Millimetres = Annotated[float, Query(ge=-1e5, le=1e5, allow_inf_nan=False)]
Side = Annotated[float, Query(gt=0, le=1e4, allow_inf_nan=False)]
Text = Annotated[str, Header()]
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {KIND: {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The image that the client has is the present one"},
}


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    apart = Apart()
    routes = APIRouter(prefix="/api/volumes", tags=["images"])
    Known = Annotated[str, Depends(known_in(session))]

    def frame_of(key: str, name: str) -> ViewFrame:
        with refusals():
            frames = session.frames(key)
        if name not in frames:
            raise HTTPException(404, f"frame={name}: the volume has no such frame")
        return frames[name]

    @routes.get("/{volume}/image", responses=RESPONSES, response_class=Response)
    async def get_image(
        key: Known,
        frame: FrameName = "scanner",
        if_none_match: Text = "",
        accept_encoding: Text = "",
    ) -> Response:
        scan, seen = session.scans[key], await apart(lambda: frame_of(key, frame))
        tag = f'"{session.images.tag(scan, seen)}"'
        headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "accept-encoding"}
        if tag in if_none_match:
            return Response(status_code=304, headers=headers)
        with refusals():
            content = await apart(lambda: session.images.overview(scan, seen))
        return _compressed(content, accept_encoding, headers)

    @routes.get("/{volume}/detail", responses=RESPONSES, response_class=Response)
    async def get_detail(
        key: Known,
        x: Millimetres,
        y: Millimetres,
        z: Millimetres,
        side_mm: Side,
        frame: FrameName = "scanner",
        accept_encoding: Text = "",
    ) -> Response:
        scan, seen = session.scans[key], await apart(lambda: frame_of(key, frame))
        with refusals():
            content = await apart(lambda: session.images.detail(scan, seen, (x, y, z), side_mm))
        return _compressed(content, accept_encoding, {"vary": "accept-encoding"})

    return routes


def _compressed(content: bytes, accepted: str, headers: dict[str, str]) -> Response:
    """A compressed image, or an uncompressed one for who does not accept that."""
    if "gzip" not in accepted.lower():
        return Response(gzip.decompress(content), media_type=KIND, headers=headers)
    return Response(content, media_type=KIND, headers={**headers, "content-encoding": "gzip"})

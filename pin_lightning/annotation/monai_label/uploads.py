"""``/session/``: images that clients send, without a place among those that are served."""

from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, Query
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from pin_lightning.annotation.monai_label.large import few_large_at_once
from pin_lightning.annotation.monai_label.uploaded import (
    SECONDS,
    Sent,
    TooMuch,
    Uploaded,
    UploadedImage,
)
from pin_lightning.annotation.upload import Upload

Expiry = Annotated[int, Query(ge=0, le=10**9)]


def router(uploaded: Uploaded) -> APIRouter:
    """Routes of images that clients send."""
    routes = APIRouter(prefix="/session", route_class=few_large_at_once())

    @routes.put("/")
    def put_session(
        files: Annotated[list[Upload], File(min_length=1)],
        expiry: Expiry = 0,
        uncompress: bool = False,
    ) -> dict[str, Any]:
        """Take an image: one file, or the files of a DICOM series."""
        if uncompress:
            raise HTTPException(422, "uncompress: send the files themselves")
        image = take(uploaded, files, expiry or SECONDS)
        return {"session_id": image.id, "session_info": _info(image)}

    @routes.get("/{session_id}", response_model=None)
    def get_session(
        session_id: str, update_ts: bool = False, image: bool = False
    ) -> dict[str, Any] | FileResponse:
        found = known(uploaded, session_id)
        if image and found.path.is_file():
            return FileResponse(found.path, filename=found.name)
        return _info(found)

    @routes.delete("/{session_id}")
    def delete_session(session_id: str) -> dict[str, Any]:
        found = uploaded.remove(session_id)
        if found is None:
            raise HTTPException(404, "there is no such session")
        return _info(found)

    return routes


def take(uploaded: Uploaded, files: list[UploadFile], seconds: float = SECONDS) -> UploadedImage:
    """Take an image; HTTPException 413 or 422 if it cannot be."""
    try:
        return uploaded.add([Sent(one.filename or "", one.file) for one in files], seconds)
    except TooMuch as error:
        raise HTTPException(413, str(error)) from error
    except ValueError as error:
        raise HTTPException(422, " ".join(str(error).split())) from error


def known(uploaded: Uploaded, session_id: str) -> UploadedImage:
    """The image of a session; HTTPException 404 if there is none, or it has expired."""
    found = uploaded.get(session_id)
    if found is None:
        raise HTTPException(404, "there is no such session; it may have expired")
    return found


def _info(image: UploadedImage) -> dict[str, Any]:
    """What is said of an image; never where it lies."""
    return {
        "name": image.name,
        "create_ts": int(image.created),
        "last_access_ts": int(image.used),
        "expiry": int(image.seconds),
        "meta": {"size": image.size},
    }

"""``/datastore/``: images and labels."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import Response, StreamingResponse

from pin_lightning.annotation.answers import Problem
from pin_lightning.annotation.monai_label.images import open_image, sent_name
from pin_lightning.annotation.monai_label.info import stats
from pin_lightning.annotation.monai_label.labels import SUFFIX, tagged_label, tags_of
from pin_lightning.annotation.monai_label.params import client_of, key_of, read_params
from pin_lightning.annotation.monai_label.saving import label_version, save_label
from pin_lightning.annotation.monai_label.seen import SeenVersions
from pin_lightning.annotation.monai_label.sending import LABEL_TYPE, attachment
from pin_lightning.annotation.routes.apart import Apart
from pin_lightning.annotation.routes.known import refusals
from pin_lightning.annotation.session import Session
from pin_lightning.annotation.upload import Upload

KIND = "application/octet-stream"
BINARY = {"schema": {"type": "string", "format": "binary"}}
NOT_TAKEN = "images are those of the folder that is served: put the file there, and start again"
Text = Annotated[str, Query(max_length=1000)]


def router(session: Session, seen: SeenVersions) -> APIRouter:
    """Routes of a session."""
    routes, apart = APIRouter(prefix="/datastore"), Apart()

    @routes.get("/")
    def get_datastore(output: Literal["stats", "all", "train"] = "stats") -> Any:
        answers = {"stats": stats, "all": _objects, "train": _done}
        return answers[output](session)

    @routes.put("/", status_code=403, deprecated=True)
    @routes.put("/image", status_code=403)
    def put_image() -> dict[str, str]:
        """Refuse an image: the folder of images is not written to."""
        return {"detail": NOT_TAKEN}

    @routes.get("/image", response_class=Response, responses={200: {"content": {KIND: BINARY}}})
    async def get_image(image: Text) -> Response:
        scan = session.scans[key_of(session, image)]
        with refusals():
            sent = await apart(lambda: open_image(scan))
        headers = {
            "content-disposition": attachment(sent.name),
            "content-length": str(sent.path.stat().st_size),
        }
        return StreamingResponse(sent.chunks(), media_type=KIND, headers=headers)

    @routes.head("/image")
    def head_image(image: Text) -> None:
        key_of(session, image)

    @routes.get("/image/info")
    def get_image_info(image: Text) -> dict[str, Any]:
        with refusals():
            return image_info(session, key_of(session, image))

    @routes.get("/label", response_class=Response, responses={200: {"content": {LABEL_TYPE: {}}}})
    def get_label(label: Text, tag: Text = "") -> Response:
        key = key_of(session, label)
        version, text = label_version(session, key), tagged_label(session, key, tag)
        if text is None:
            raise HTTPException(404, "there is no such label")
        name = f"{session.scans[key].name}{SUFFIX}"
        headers = {"content-disposition": attachment(name), "etag": f'"{version}"'}
        return Response(text, media_type=LABEL_TYPE, headers=headers)

    @routes.head("/label")
    def head_label(image: Text, tag: Text = "") -> None:
        if tagged_label(session, key_of(session, image), tag) is None:
            raise HTTPException(404, "there is no such label")

    @routes.get("/label/info")
    def get_label_info(label: Text, tag: Text = "") -> dict[str, Any]:
        return _label_info(session, key_of(session, label))

    @routes.put("/label", responses={409: {"model": Problem}})
    def put_label(
        image: Text,
        label: Upload,
        params: Annotated[str, Form(max_length=2**16)] = "{}",
        tag: Text = "",
    ) -> dict[str, Any]:
        key, said = key_of(session, image), read_params(params)
        with refusals():
            version = save_label(session, seen, key, label, tag, said)
        if client := client_of(said):  # else it may not be the one that was shown the image
            seen.note(client, key, version)
        return {"image": key, "label": key, **_label_info(session, key)}

    return routes


def image_info(session: Session, key: str) -> dict[str, Any]:
    """What is said of an image; never where it lies."""
    scan = session.scans[key]
    return {"name": sent_name(scan), "PatientID": scan.name, **_label_info(session, key)}


def _label_info(session: Session, key: str) -> dict[str, Any]:
    return {"version": label_version(session, key), "state": session.state(key)}


def _objects(session: Session) -> dict[str, Any]:
    objects = {}
    for key in session.scans:
        info = {"ext": SUFFIX, "info": _label_info(session, key)}
        labels = {tag: info for tag in tags_of(session, key)}
        image = {"ext": "", "info": {"name": session.scans[key].name}}
        objects[key] = {"image": image, "labels": labels}
    return {"name": session.title, "description": "", "objects": objects}


def _done(session: Session) -> list[dict[str, str]]:
    done = [key for key in session.scans if session.store.read(key).state.done]
    return [{"image": key, "label": key} for key in done]

"""``/infer/``: predictions, as point lists."""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from pin_lightning.annotation.answers import Problem
from pin_lightning.annotation.monai_label.inferring import Inferred, Inferring, TooBusy
from pin_lightning.annotation.monai_label.info import MODEL, models
from pin_lightning.annotation.monai_label.labels import SUFFIX, label_text
from pin_lightning.annotation.monai_label.large import few_large_at_once
from pin_lightning.annotation.monai_label.params import client_of, key_of, read_params
from pin_lightning.annotation.monai_label.seen import SeenVersions
from pin_lightning.annotation.monai_label.sending import (
    LABEL_TYPE,
    attachment,
    params_and_file,
    plain_name,
)
from pin_lightning.annotation.monai_label.uploaded import Uploaded, UploadedImage
from pin_lightning.annotation.monai_label.uploads import known, take
from pin_lightning.annotation.routes.known import refusals
from pin_lightning.annotation.session import Session
from pin_lightning.annotation.upload import Upload
from pin_lightning.data.images.reading import file_stem

FORM = "multipart/form-data"
Text = Annotated[str, Query(max_length=1000)]


def router(
    session: Session, seen: SeenVersions, uploaded: Uploaded, inferring: Inferring
) -> APIRouter:
    """Routes of a session."""
    routes = APIRouter(prefix="/infer", route_class=few_large_at_once())

    @routes.post(
        "/{model}",
        response_class=Response,
        responses={200: {"content": {FORM: {}, LABEL_TYPE: {}}}, 429: {"model": Problem}},
    )
    async def post_infer(
        request: Request,
        model: str,
        image: Text = "",
        session_id: Text = "",
        params: Annotated[str, Form(max_length=2**16)] = "{}",
        file: Annotated[Upload | None, File()] = None,
        output: Literal["all", "json", "image"] = "all",
    ) -> Response:
        """Predict an image of the folder, of a session, or of this request."""
        if model not in models(session):
            raise HTTPException(404, f"model: there is no such model; {MODEL} needs a run")
        said, sent = read_params(params), None
        if session_id:
            sent = known(uploaded, session_id)
        elif file is not None:
            sent = await run_in_threadpool(take, uploaded, [file])
        if sent is not None:
            inferred = await run_in_threadpool(_of_upload, inferring, sent)
            return _answer(file_stem(Path(sent.name)) or sent.name, inferred, {}, output)
        key = key_of(session, image)
        with refusals():
            inferred = await inferring.of_volume(key, request.is_disconnected)
        version = session.store.read(key).version
        seen.note(client_of(said), key, version)
        more = {"image": key, "version": version}
        return _answer(session.scans[key].name, inferred, more, output)

    return routes


def _of_upload(inferring: Inferring, sent: UploadedImage) -> Inferred:
    try:
        with refusals():
            return inferring.of_upload(sent)
    except TooBusy as error:
        raise HTTPException(429, "other images wait already; try again later") from error


def _answer(name: str, inferred: Inferred, more: dict[str, Any], output: str) -> Response:
    """Landmarks as ``params`` (world RAS+ mm) and as a point list (LPS), or one of them."""
    params = {**more, "model": MODEL, "landmarks": _landmarks(inferred)}
    label = label_text(inferred.points, inferred.descriptions)
    file = f"{plain_name(name)}{SUFFIX}"
    if output == "json":
        return JSONResponse(params)
    if output == "image":
        headers = {"content-disposition": attachment(file)}
        return Response(label, media_type=LABEL_TYPE, headers=headers)
    return params_and_file(params, file, label)


def _landmarks(inferred: Inferred) -> list[dict[str, Any]]:
    return [
        {"name": name, "position": one.position, "missing": one.missing}
        for name, one in inferred.points.items()
    ]

"""The application: routes of the API, the page, and the refusals of both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from pin_lightning.annotation import monai_label
from pin_lightning.annotation.answers import Problem
from pin_lightning.annotation.guard import Guard
from pin_lightning.annotation.page_files import PageFiles
from pin_lightning.annotation.routes import events, images, session, training, volumes
from pin_lightning.annotation.session import Session

PAGE = Path(__file__).parent / "page"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        400: "Not a request that is understood",
        401: "No token, or a wrong one",
        403: "Asked by a page of another site",
        404: "No such volume",
        413: "Too many bytes",
        421: "Asked under a name that is not that of this machine",
        422: "A value cannot be used",
    }.items()
}


def create_app(
    state: Session,
    token: str | None = None,
    any_host: bool = False,
    limits: Mapping[str, int] | None = None,
) -> FastAPI:
    """Make the application of a session.

    Args:
        state: The session, which has been started.
        token: As of `Guard`.
        any_host: As of `Guard`.
        limits: As of `Guard`.
    """
    app = FastAPI(
        title="PIN-Lightning",
        docs_url=None,  # its page comes from the network
        redoc_url=None,
        responses=PROBLEMS,
    )
    for one in (session, volumes, images, events, training):
        app.include_router(one.router(state))
    app.include_router(monai_label.router(state, token))
    app.add_exception_handler(RequestValidationError, _unusable)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(OSError, _not_written)
    app.add_exception_handler(Exception, _defect)
    bounds = {**monai_label.LIMITS, **(limits or {})}
    app.add_middleware(Guard, token=token, any_host=any_host, limits=bounds)
    app.mount("/static", PageFiles(directory=PAGE), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    return app


async def _unusable(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with a request, in one line."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(one) for one in first["loc"][1:]) or str(first["loc"][0])
    return JSONResponse({"detail": " ".join(f"{place}: {first['msg']}".split())}, 422)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = " ".join(str(error.detail).split())
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _defect(request: Request, error: Exception) -> JSONResponse:
    """What no request should meet; its traceback is in the log."""
    headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
    return JSONResponse({"detail": "a defect of the server; see its log"}, 500, headers)


async def _not_written(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    return JSONResponse({"detail": f"cannot be saved: {error.strerror or 'no reason given'}"}, 507)

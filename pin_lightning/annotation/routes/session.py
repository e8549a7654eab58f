"""Routes of what concerns all volumes: names of landmarks, what to do next."""

import re
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query

from pin_lightning.annotation.answers import (
    ChangedName,
    Contradictions,
    Names,
    Next,
    SessionAnswer,
)
from pin_lightning.annotation.described import session_answer
from pin_lightning.annotation.name_changes import NameChange
from pin_lightning.annotation.names import names_in_file
from pin_lightning.annotation.routes.known import refusals
from pin_lightning.annotation.session import Session
from pin_lightning.annotation.upload import Upload
from pin_lightning.common.spelling import one_spelling
from pin_lightning.data.landmarks.files import LANDMARK_SUFFIXES

Strategy = Annotated[Literal["doubt", "random", "diverse"], Query()]


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    routes = APIRouter(prefix="/api", tags=["session"])

    @routes.get("/session")
    def get_session() -> SessionAnswer:
        return session_answer(session)

    @routes.put("/session/landmarks")
    def put_landmarks(given: Names) -> SessionAnswer:
        with refusals():
            session.set_names(given.names)
        return session_answer(session)

    @routes.patch("/session/landmarks")
    def patch_landmarks(given: ChangedName) -> SessionAnswer:
        name, new_name = one_spelling(given.name.strip()), one_spelling(given.new_name.strip())
        with refusals():
            session.change_names(NameChange(given.kind, name, new_name))
        return session_answer(session)

    @routes.post("/session/template")
    def post_template(file: Upload) -> SessionAnswer:
        with refusals():
            session.set_names(_names_of(file))
        return session_answer(session)

    @routes.get("/next")
    def get_next(strategy: Strategy = "doubt") -> Next:
        with refusals():
            return Next(id=session.next(strategy))

    @routes.get("/contradictions")
    def get_contradictions() -> Contradictions:
        return Contradictions(contradictions=session.learner.contradictions())

    return routes


def _names_of(file: Upload) -> tuple[str, ...]:
    """Landmark names of an uploaded file; of its name only the ending says how it is read."""
    given = (file.filename or "").lower()
    suffix = next((one for one in LANDMARK_SUFFIXES if given.endswith(one)), None)
    if suffix is None:
        raise HTTPException(422, f"file: give a name that ends in {', '.join(LANDMARK_SUFFIXES)}")
    with tempfile.TemporaryDirectory(prefix="pin-lightning-") as folder:
        path = Path(folder) / f"template{suffix}"
        path.write_bytes(file.file.read())
        try:
            return names_in_file(path)
        except ValueError as error:
            shown = re.split(r"[/\\]", file.filename or "")[-1]
            raise ValueError(str(error).replace(str(path), shown)) from error

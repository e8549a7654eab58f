"""Routes of volumes: list, landmarks, saving."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException
from fastapi.responses import JSONResponse

from pin_lightning.annotation import described
from pin_lightning.annotation.answers import (
    Asked,
    Conflict,
    Given,
    LookedAt,
    Problem,
    Saved,
    Tab,
    Volume,
    Volumes,
)
from pin_lightning.annotation.given import points_given
from pin_lightning.annotation.routes.apart import Apart
from pin_lightning.annotation.routes.known import known_in, refusals
from pin_lightning.annotation.saved import VersionConflict
from pin_lightning.annotation.session import Session

WITHOUT_VERSION = 'give the version that you have seen: If-Match: "VERSION"'


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    routes, apart = APIRouter(prefix="/api/volumes", tags=["volumes"]), Apart()
    Known = Annotated[str, Depends(known_in(session))]

    @routes.get("")
    def get_volumes() -> Volumes:
        return Volumes(volumes=described.summaries(session), progress=session.progress())

    @routes.get("/{volume}")
    async def get_volume(key: Known) -> Volume:
        session.look_at(key)
        return await apart(lambda: described.volume(session, key))

    @routes.put(
        "/{volume}",
        response_model=Saved,
        responses={409: {"model": Conflict}, 428: {"model": Problem}},
    )
    def put_volume(
        key: Known, given: Given, if_match: Annotated[str | None, Header()] = None
    ) -> Any:
        version = _version(if_match)
        with refusals():
            points = points_given(session, key, given)
        try:
            saved = session.save(key, version, points, given.done, given.seconds)
        except VersionConflict as error:
            return conflict(session, key, error)
        return Saved(version=saved.version, state=session.state(key))

    @routes.post("/{volume}/looking")
    def post_looking(key: Known, tab: Tab) -> LookedAt:
        session.look(key, tab.tab, tab.closed)
        return LookedAt(looking=session.looking.at(key))

    @routes.post("/{volume}/predict")
    def post_predict(key: Known) -> Asked:
        with refusals():
            session.ask(key)
        return Asked(waiting=session.predictions.waiting + session.proposals.waiting)

    return routes


def conflict(session: Session, key: str, error: VersionConflict) -> JSONResponse:
    """Answer to who has seen another version than what is saved now."""
    present = described.volume(session, key).model_dump()
    detail = f"somebody else has saved this volume: {error}"
    return JSONResponse(Conflict(**present, detail=detail).model_dump(mode="json"), 409)


def _version(if_match: str | None) -> int:
    if if_match is None:
        raise HTTPException(428, WITHOUT_VERSION)
    found = re.fullmatch(r'\s*(?:W/)?"?([0-9]{1,15})"?\s*', if_match)
    if found is None:
        raise HTTPException(422, WITHOUT_VERSION)
    return int(found.group(1))

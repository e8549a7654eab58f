"""All routes of the protocol."""

from fastapi import APIRouter

from pin_lightning.annotation.monai_label import (
    datastore,
    infer,
    info,
    login,
    samples,
    train,
    uploads,
)
from pin_lightning.annotation.monai_label.inferring import Inferring
from pin_lightning.annotation.monai_label.seen import SeenVersions
from pin_lightning.annotation.monai_label.uploaded import MOST_BYTES, Uploaded
from pin_lightning.annotation.on_disk import PRIVATE
from pin_lightning.annotation.session import Session

# Most bytes of a request, by the beginning of its path.
LIMITS = {"/session": MOST_BYTES, "/infer": MOST_BYTES}


def router(session: Session, token: str | None = None) -> APIRouter:
    """Routes of a session.

    Args:
        session: The session.
        token: What a login has to give as its password; None without one.
    """
    routes, seen = APIRouter(tags=["MONAI Label"]), SeenVersions()
    uploaded = Uploaded(session.folder / PRIVATE / "uploads")
    inferring = Inferring(session, uploaded)
    for one in (
        info.router(session),
        datastore.router(session, seen),
        infer.router(session, seen, uploaded, inferring),
        samples.router(session, seen),
        train.router(session),
        uploads.router(uploaded),
        login.router(token),
    ):
        routes.include_router(one)
    return routes

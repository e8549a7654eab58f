"""``/activelearning/``: which image to annotate next."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException

from pin_lightning.annotation.monai_label.datastore import image_info
from pin_lightning.annotation.monai_label.images import checksum
from pin_lightning.annotation.monai_label.info import STRATEGIES
from pin_lightning.annotation.monai_label.params import client_of
from pin_lightning.annotation.monai_label.seen import SeenVersions
from pin_lightning.annotation.routes.known import refusals
from pin_lightning.annotation.session import Session

Params = Annotated[dict[str, Any] | None, Body()]


def router(session: Session, seen: SeenVersions) -> APIRouter:
    """Routes of a session."""
    routes = APIRouter(prefix="/activelearning")

    @routes.post("/{strategy}")
    def post_sample(strategy: str, params: Params = None) -> dict[str, Any]:
        """The image to annotate next; an empty answer where none is left."""
        if strategy not in STRATEGIES:
            raise HTTPException(404, f"strategy: give one of {', '.join(STRATEGIES)}")
        with refusals():
            key = session.next(strategy)
            if key is None:
                return {}
            sample = {"id": key, **image_info(session, key)}
        client = client_of(params)
        session.look(key, f"monai-label {client}")
        seen.note(client, key, sample["version"])
        digest = checksum(session.scans[key])
        return sample if digest is None else {**sample, "checksum": digest}

    return routes

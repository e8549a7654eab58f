"""What requests of the protocol have in common: names of images, and ``params``."""

import json
from typing import Any

from fastapi import HTTPException

from pin_lightning.annotation.session import Session

MOST_LETTERS = 64  # of the name of a client


def key_of(session: Session, image: str) -> str:
    """Id of the volume with an id or a name; HTTPException 404 if there is none."""
    if image in session.scans:
        return image
    for key, scan in session.scans.items():
        if scan.name == image:
            return key
    raise HTTPException(404, "there is no such image")


def read_params(text: str) -> dict[str, Any]:
    """The field ``params`` of a form; HTTPException 422 if it is not a JSON object."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(422, "params: give a JSON object")
    return found


def client_of(params: dict[str, Any] | None) -> str:
    """What a client calls itself; empty if it does not say."""
    return str((params or {}).get("client_id") or "")[:MOST_LETTERS]

"""Routes of the MONAI Label protocol."""

from collections.abc import Mapping

from fastapi import APIRouter

from pin_lightning.annotation.session import Session

LIMITS: Mapping[str, int] = {}  # most bytes of a request, as of `Guard`


def router(session: Session, token: str | None) -> APIRouter:
    """Routes of a session."""
    return APIRouter()

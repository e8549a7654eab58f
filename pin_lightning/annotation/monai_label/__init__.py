"""Routes of the MONAI Label protocol."""

from fastapi import APIRouter

from pin_lightning.annotation.session import Session


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    return APIRouter()

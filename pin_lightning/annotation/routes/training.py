"""Routes of trainings."""

from fastapi import APIRouter

from pin_lightning.annotation.answers import Training
from pin_lightning.annotation.routes.known import refusals
from pin_lightning.annotation.session import Session


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    routes = APIRouter(tags=["training"])

    @routes.get("/api/training")
    def get_training() -> Training:
        return Training(**session.learner.status())

    @routes.post("/train")
    @routes.post("/api/training")
    def post_training() -> Training:
        with refusals():
            session.learner.start(session.done_volumes())
        return Training(**session.learner.status())

    @routes.delete("/api/training")
    def delete_training() -> Training:
        session.learner.cancel()
        return Training(**session.learner.status())

    return routes

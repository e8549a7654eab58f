"""``/train/``: trainings as tasks of the protocol."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException

from pin_lightning.annotation.answers import Problem
from pin_lightning.annotation.monai_label.info import MODEL
from pin_lightning.annotation.routes.known import refusals
from pin_lightning.annotation.session import Session

STATES = {"running": "RUNNING", "finished": "DONE", "failed": "ERROR", "cancelled": "STOPPED"}
Params = Annotated[dict[str, Any] | None, Body()]


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    routes = APIRouter(prefix="/train")

    @routes.get("/")
    def get_train(check_if_running: bool = False, all: bool = False) -> Any:
        """The present or last training, or only one that is running; 404 if there is none."""
        found = task(session.learner.status())
        if found is None or (check_if_running and found["status"] != "RUNNING"):
            raise HTTPException(
                404, "no training is running" if check_if_running else "no training"
            )
        return [found] if all else found

    @routes.post("/{model}", responses={429: {"model": Problem}})
    def post_train_model(model: str, params: Params = None) -> Any:
        """Start a training on all images that are done."""
        if model != MODEL:
            raise HTTPException(404, f"model: give {MODEL}")
        return post_train()

    @routes.post("/", responses={429: {"model": Problem}})
    def post_train(params: Params = None) -> Any:
        """Start a training on all images that are done."""
        if session.learner.status()["state"] == "running":
            raise HTTPException(429, "a training is running")
        with refusals():
            session.learner.start(session.done_volumes())
        return task(session.learner.status())

    @routes.delete("/")
    def delete_train() -> Any:
        """Cancel a training; an answer without content where none is running."""
        if session.learner.status()["state"] != "running":
            return None
        session.learner.cancel()
        return task(session.learner.status())

    return routes


def task(status: dict[str, Any]) -> dict[str, Any] | None:
    """A training as clients know it; None before the first one."""
    if status["state"] == "idle":
        return None
    found = {
        "id": MODEL,
        "status": STATES[status["state"]],
        "request": {"model": MODEL},
        # Clients read its last line.
        "details": [f"step {status['step']} of {status['steps']}", status["message"]],
        "result": status["result"],
    }
    if found["status"] != "RUNNING":
        return found
    begin = datetime.now() - timedelta(seconds=status["seconds"])
    return {**found, "start_ts": f"{begin:%Y-%m-%d %H:%M:%S}"}

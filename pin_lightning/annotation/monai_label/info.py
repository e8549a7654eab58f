"""``/info/``: what the server can do, in the words of the protocol."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter

from pin_lightning.annotation.monai_label.labels import tags_of
from pin_lightning.annotation.session import Session

MODEL = "landmarks"
STRATEGIES = {
    "doubt": "The most doubtful prediction",
    "random": "Any image that is not done",
    "diverse": "The image that is most unlike those that are done",
}


def router(session: Session) -> APIRouter:
    """Routes of a session."""
    routes = APIRouter()

    @routes.get("/info/")
    def get_info() -> dict[str, Any]:
        return info(session)

    return routes


def info(session: Session) -> dict[str, Any]:
    """What the server can do.

    3D Slicer's module takes a top-level ``config`` for that of an old server, asks for a
    segmentation of each of ``labels``, and takes models of other types for segmentations.
    """
    return {
        "name": session.title or "PIN-Lightning",
        "description": "Anatomical landmarks, as point lists",
        "version": _version(),
        "labels": [],
        "models": models(session),
        "trainers": {MODEL: {"description": "Training on all images that are done", "config": {}}},
        "strategies": {name: {"description": text} for name, text in STRATEGIES.items()},
        "scoring": {},
        "train_stats": {MODEL: _train_stats(session)},
        "datastore": stats(session),
    }


def models(session: Session) -> dict[str, Any]:
    """The model, where something predicts."""
    if session.predictions.run is None and session.proposer is None:
        return {}
    model = {
        "type": "detection",
        "labels": [],
        "dimension": 3,
        "description": f"Run {session.predictions.run.shown}"
        if session.predictions.run
        else "Registration of images that are done",
        "landmarks": list(session.names),
        "config": {},
    }
    return {MODEL: model}


def stats(session: Session) -> dict[str, Any]:
    """How many images there are, and how many are done."""
    progress, tags = session.progress(), dict[str, int]()
    for key in session.scans:
        for tag in tags_of(session, key):
            tags[tag] = tags.get(tag, 0) + 1
    return {"total": progress.total, "completed": progress.done, "label_tags": tags}


def _train_stats(session: Session) -> dict[str, Any]:
    """Steps of the present or last training, as epochs; empty before the first."""
    status = session.learner.status()
    if status["state"] == "idle":
        return {}
    found = {"epoch": status["step"], "total_epochs": max(1, status["steps"])}
    return found if status["state"] == "running" else {**found, "total_time": status["seconds"]}


def _version() -> str:
    try:
        return version("pin-lightning")
    except PackageNotFoundError:  # run from a checkout
        return "0"

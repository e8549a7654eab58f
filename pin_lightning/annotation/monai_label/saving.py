"""Saving labels that clients send, unless somebody else saved in the meantime."""

from typing import Any

from fastapi import HTTPException
from starlette.datastructures import UploadFile

from pin_lightning.annotation.answers import Given, GivenLandmark
from pin_lightning.annotation.given import points_given
from pin_lightning.annotation.monai_label.labels import DRAFT, FINAL, read_label
from pin_lightning.annotation.monai_label.params import client_of
from pin_lightning.annotation.monai_label.seen import SeenVersions
from pin_lightning.annotation.saved import VersionConflict
from pin_lightning.annotation.session import Session

MOST_BYTES = 4 * 2**20  # of a label
MOST_POINTS = 1000


def label_version(session: Session, key: str) -> int:
    """Version of the label of an image."""
    return session.store.read(key).version


def save_label(
    session: Session,
    seen: SeenVersions,
    key: str,
    label: UploadFile,
    tag: str,
    params: dict[str, Any],
) -> int:
    """Save a label, and give its version.

    Landmarks that it does not have are not placed.

    Args:
        session: The session.
        seen: What clients were shown.
        key: Id of the image.
        label: Point list.
        tag: ``final`` or nothing where the image is done, ``draft`` where it is not.
        params: Of the request; ``version`` is what the client has seen, where it knows that.

    Raises:
        ValueError: The label or the tag cannot be used.
        HTTPException: 409: somebody else saved in the meantime.
    """
    if tag not in ("", FINAL, DRAFT):
        raise ValueError(f"tag: give {FINAL} where the image is done, or {DRAFT}")
    version = params.get("version", seen.of(client_of(params), key))
    if type(version) is not int:
        raise ValueError("params: version is a whole number")
    points = _points(session, key, label)
    try:
        return session.save(key, version, points, tag != DRAFT).version
    except VersionConflict as error:
        raise HTTPException(
            409,
            f"somebody else has saved this label: {error}; get it, look at it, and send params "
            f'with "version": {error.present.version} to replace it',
        ) from error


def _points(session: Session, key: str, label: UploadFile) -> Any:
    content = label.file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise HTTPException(413, f"label: more than {MOST_BYTES} bytes")
    points = {**{name: None for name in session.names}, **read_label(label.filename or "", content)}
    if len(points) > MOST_POINTS:
        raise ValueError(f"label: holds more than {MOST_POINTS} points")
    rows = [
        GivenLandmark(name=name)
        if one is None
        else GivenLandmark(name=name, position=one.position, missing=one.missing)
        for name, one in points.items()
    ]
    return points_given(session, key, Given(landmarks=rows, seconds=0.0))

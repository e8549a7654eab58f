"""Predictions that clients ask and wait for."""

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pin_lightning.annotation.monai_label.labels import descriptions, descriptions_of
from pin_lightning.annotation.monai_label.uploaded import Uploaded, UploadedImage
from pin_lightning.annotation.points import Points, points_predicted
from pin_lightning.annotation.predicting_run import settings_of
from pin_lightning.annotation.prediction_child import ChildEnded, PredictionChild
from pin_lightning.annotation.session import Session
from pin_lightning.inference.files import LocalInput
from pin_lightning.inference.inputs import Input
from pin_lightning.inference.records import Failed, Records

SECONDS_BETWEEN_LOOKS, MOST_SECONDS = 0.2, 1800.0
NOTHING_PROPOSED = "nothing could be proposed: annotate a volume by hand, and finish it"
MOST_WAITING = 4  # uploaded images
IMAGE = "image"  # name of an uploaded one


class TooBusy(Exception):
    """Others wait already."""


@dataclass(frozen=True)
class Inferred:
    """A prediction.

    Attributes:
        points: Landmarks.
        descriptions: What is said of each.
    """

    points: Points
    descriptions: Mapping[str, str]


class Inferring:
    """Predicts volumes of a session, and images that clients have sent.

    Args:
        session: The session.
        uploaded: Images that clients have sent.
    """

    def __init__(self, session: Session, uploaded: Uploaded) -> None:
        self._session, self._uploaded = session, uploaded
        self._one = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)

    async def of_volume(self, key: str, gone: Callable[[], Awaitable[bool]]) -> Inferred:
        """The prediction of a volume, which is made first if there is none.

        Args:
            key: Its id.
            gone: Whether nobody waits any more.

        Raises:
            ValueError: It cannot be predicted.
        """
        session, name = self._session, self._session.scans[key].name
        points = session.predicted_points(key)
        if not points:
            before, ends = session.predictions.of(name), time.monotonic() + MOST_SECONDS
            session.ask(key)
            while session.predictions.of(name) is before and not points and not await gone():
                if session.predictions.problem or time.monotonic() > ends:
                    raise ValueError(session.predictions.problem or "takes too long")
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
                is_over = session.predictions.run is None and not session.proposals.is_coming(key)
                points = session.predicted_points(key)
                if is_over and not points:
                    raise ValueError(NOTHING_PROPOSED)
        known = session.predictions.of(name)
        if not points:
            raise ValueError(known.reason if isinstance(known, Failed) else "not predicted")
        return Inferred(points, descriptions(session, key))

    def of_upload(self, image: UploadedImage) -> Inferred:
        """The prediction of an image that a client has sent, by a process of its own.

        Raises:
            ValueError: It cannot be predicted.
            TooBusy: Others wait already.
        """
        if not self._waiting.acquire(blocking=False):
            raise TooBusy
        try:
            with self._one, self._uploaded.using(image) as path:
                return self._predicted(image.name, path)
        finally:
            self._waiting.release()

    def _predicted(self, shown: str, path: Path) -> Inferred:
        run = self._session.predictions.run
        if run is None:
            raise ValueError("there is no run that predicts")
        folder = Path(tempfile.mkdtemp(prefix="pin-lightning-"))
        inputs = {IMAGE: Input(LocalInput(path), IMAGE)}
        child = PredictionChild()
        try:
            child.begin(settings_of(run, folder), inputs)
            said = child.answer()
            if said["state"] != "ready":
                raise ValueError(str(said.get("reason", "")))
            child.ask(IMAGE)
            child.answer()
            record = Records(folder).read(IMAGE)
        except ChildEnded as error:
            raise ValueError(str(error)) from error
        finally:
            child.end()
            shutil.rmtree(folder, ignore_errors=True)
        one = Failed(IMAGE, shown, "not predicted") if record is None else record.one
        if isinstance(one, Failed):
            raise ValueError(one.reason.replace(str(path), shown))
        names = self._session.names
        return Inferred(points_predicted(names, one), descriptions_of(names, one))

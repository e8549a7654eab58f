"""KnownVolumes: what is known of each volume, from what is saved and what is predicted."""

from pathlib import Path

import numpy as np

from pin_lightning.annotation.done import done_volumes
from pin_lightning.annotation.doubt_of_volumes import DoubtOfVolumes
from pin_lightning.annotation.doubtful import Doubtful
from pin_lightning.annotation.frames import ViewFrame, view_frames
from pin_lightning.annotation.learner import DoneVolume, Learner, NoLearner
from pin_lightning.annotation.looking import Looking
from pin_lightning.annotation.names import LandmarkNames
from pin_lightning.annotation.next_volume import next_volume
from pin_lightning.annotation.on_disk import PRIVATE
from pin_lightning.annotation.points import (
    Point,
    Points,
    Predicted,
    changed_names,
    placed,
    points_predicted,
)
from pin_lightning.annotation.predictions import Predictions
from pin_lightning.annotation.progress import Progress
from pin_lightning.annotation.proposals import Proposals
from pin_lightning.annotation.saved import Annotation
from pin_lightning.annotation.states import State
from pin_lightning.annotation.store import AnnotationStore
from pin_lightning.annotation.volumes import Scans, volume_id
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed


class KnownVolumes:
    """What is known of volumes, for who only reads it; safe for threads.

    Args:
        scans: The volumes.
        folder: Folder of the annotations.
        names: Landmark names.

    Attributes:
        learner: Trains on what is done.
    """

    def __init__(self, scans: Scans, folder: Path, names: LandmarkNames) -> None:
        self.scans, self.folder, self.landmarks = scans, folder, names
        self.looking = Looking()
        self.learner: Learner = NoLearner()
        by_id, private = {key: scan.name for key, scan in scans.items()}, folder / PRIVATE
        self.store = AnnotationStore(folder, by_id, self._is_complete)
        inputs = {one.name: one.input for one in scans.values() if not one.fault}
        told = self._predicted, self.troubled
        self.predictions = Predictions(private / "predictions", inputs, *told)
        self.proposals = Proposals(private / "proposals", self.propose, self.changed)
        self._doubts = DoubtOfVolumes(self.predictions)

    def changed(self, key: str) -> None:
        """Is called when something new is known of a volume."""

    def troubled(self) -> None:
        """Is called when there is another reason why nothing is predicted, or none any more."""

    def propose(self, key: str) -> Predicted | None:
        """Landmarks of a volume by what is done, where no run predicts; None if there are none."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Landmark names; none before there are any."""
        return self.landmarks.names

    def points(self, key: str) -> dict[str, Point]:
        """Landmarks of a volume: as saved, else as predicted, else not placed."""
        return self.points_beside(key, self.store.read(key))

    def predicted_points(self, key: str) -> dict[str, Point]:
        """Landmarks of a volume as they are predicted or proposed now; none where they are not."""
        known = self.predictions.of(self.scans[key].name)
        if isinstance(known, Reviewed):
            return points_predicted(self.names, known)
        proposed = self.proposals.of(key)
        return {name: Point(one) for name, one in proposed.items() if name in self.names}

    def number_of_prediction(self, key: str) -> int:
        """Number that is another one for each prediction of a volume."""
        return self.predictions.number_of(self.scans[key].name) + self.proposals.number_of(key)

    def predicted(self, key: str) -> Predicted:
        """Positions that were predicted when a person began, else those that are predicted now."""
        points = self.store.read(key).state.predicted
        return points or placed(self.predicted_points(key))

    def state(self, key: str) -> State:
        """State of a volume in a word."""
        saved = self.store.glance(key)
        if saved.is_saved:
            if not saved.state.done:
                return "in_work"
            return "corrected" if self.moved(key) else "accepted"
        known = self.predictions.of(self.scans[key].name)
        if isinstance(known, Failed) or self.fault(key):
            return "failed"
        return "predicted" if known is not None or self.proposals.of(key) else "new"

    def fault(self, key: str) -> str:
        """Why a volume cannot be opened, as far as is known; else empty."""
        return self.scans.fault(self.scans[key])

    def is_coming(self, key: str) -> bool:
        """Whether landmarks of a volume that nobody has saved are being predicted or proposed."""
        if self.store.glance(key).is_saved or self.fault(key):
            return False
        return self.predictions.is_coming(self.scans[key].name) or self.proposals.is_coming(key)

    def moved(self, key: str) -> list[str]:
        """Landmarks that a person has changed against the prediction."""
        saved = self.store.glance(key)
        return changed_names(saved.points, saved.state.predicted) if saved.is_saved else []

    def progress(self) -> Progress:
        """How many volumes are done, and how long the others may take."""
        return self.store.progress()

    def frames(self, key: str) -> dict[str, ViewFrame]:
        """View frames of a volume by their names.

        Raises:
            ValueError: It cannot be read.
        """
        header = self.scans.header(self.scans[key])
        known = self.predictions.of(self.scans[key].name)
        pose = known.pose if isinstance(known, Reviewed) else None
        found = None if pose is None or pose.to_world is None else np.array(pose.to_world)
        return view_frames(header, found)

    def doubt(self, key: str) -> Doubtful:
        """Doubt about the prediction of a volume."""
        return self._doubts.of(self.scans[key], self.fault(key))

    def done_volumes(self) -> list[DoneVolume]:
        """Volumes that are done, for a training."""
        return done_volumes(self.scans, self.store, self.names)

    def next(self, strategy: str) -> str | None:
        """Volume to do next; None if all that can be read are done.

        One that nobody looks at goes before others.

        Raises:
            ValueError: There is no such strategy.
        """
        done = [key for key in self.scans if self.store.glance(key).state.done]
        ended = set(done)
        left = [key for key in self.scans if key not in ended and not self.fault(key)]
        free = [key for key in left if not self.looking.at(key)] or left
        return next_volume(strategy, free, done, lambda key: self.doubt(key).number, self.learner)

    def points_beside(self, key: str, saved: Annotation) -> dict[str, Point]:
        """As `points`, of what is saved."""
        empty = dict.fromkeys(self.names, Point())
        return {**empty, **(saved.points if saved.is_saved else self.predicted_points(key))}

    def _is_complete(self, points: Points) -> bool:
        return all(name in points and points[name].is_known for name in self.names)

    def _predicted(self, name: str) -> None:
        self.changed(volume_id(name))

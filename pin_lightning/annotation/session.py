"""Session: all that a server knows of the volumes that people annotate."""

import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.annotation.done import done_volumes
from pin_lightning.annotation.doubt_of_volumes import DoubtOfVolumes
from pin_lightning.annotation.doubtful import Doubtful
from pin_lightning.annotation.events import Events
from pin_lightning.annotation.frames import ViewFrame, view_frames
from pin_lightning.annotation.images import Images
from pin_lightning.annotation.learner import DoneVolume, Learner, NoLearner, Proposer
from pin_lightning.annotation.looking import Looking
from pin_lightning.annotation.names import LandmarkNames
from pin_lightning.annotation.next_volume import next_volume
from pin_lightning.annotation.on_disk import PRIVATE
from pin_lightning.annotation.points import (
    Point,
    Points,
    Predicted,
    changed_names,
    points_predicted,
)
from pin_lightning.annotation.predictions import PredictingRun, Predictions
from pin_lightning.annotation.progress import Progress
from pin_lightning.annotation.proposals import Proposals
from pin_lightning.annotation.saved import Annotation, Saving
from pin_lightning.annotation.states import State
from pin_lightning.annotation.store import AnnotationStore
from pin_lightning.annotation.volumes import Scans, volume_id
from pin_lightning.inference.files import LocalInput
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed

SECONDS_BETWEEN_LOOKS = 1.0  # at files that others may have changed


class Session:
    """Volumes, what is predicted and what is saved; safe for threads.

    Args:
        scans: The volumes.
        folder: Folder of the annotations.
        names: Landmark names.
        title: Shown on the page.
        planes: Names of standard planes, with their landmarks.

    Attributes:
        learner: Trains on what is done.
        proposer: Proposes landmarks where no run predicts.
    """

    def __init__(
        self,
        scans: Scans,
        folder: Path,
        names: LandmarkNames,
        title: str = "",
        planes: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.scans, self.folder, self.landmarks = scans, folder, names
        self.title, self.planes = title, planes
        self.events, self.looking, self.images = Events(), Looking(), Images()
        by_id = {key: scan.name for key, scan in scans.items()}
        self.store = AnnotationStore(folder, by_id, self._is_complete)
        inputs = {one.name: one.input for one in scans.values() if not one.fault}
        private = folder / PRIVATE
        self.predictions = Predictions(private / "predictions", inputs, self._predicted)
        self._doubts = DoubtOfVolumes(self.predictions)
        self.proposals = Proposals(private / "proposals", self._proposed, self._say_changed)
        self.learner: Learner = NoLearner()
        self.proposer: Proposer | None = None
        self._ending = threading.Event()

    def start(self, run: PredictingRun | None = None) -> None:
        """Look at what is saved, begin to predict, and watch for files that others change."""
        for key in self.scans:
            self.store.read(key)
        if run is not None:
            self.use_run(run)
        threading.Thread(target=self._watch, daemon=True).start()

    def use_run(self, run: PredictingRun) -> None:
        """Predict what is not done by a run from now on."""
        self.landmarks.set_by_run(run.names)
        self.predictions.use(run, lambda name: self.store.glance(volume_id(name)).state.done)
        self.events.publish("session", {})

    def close(self) -> None:
        """End all that is running."""
        self._ending.set()
        self.events.close()
        self.proposals.close()
        self.learner.close()
        if self.proposer is not None:
            self.proposer.close()
        self.predictions.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Landmark names; none before there are any."""
        return self.landmarks.names

    def set_names(self, names: Sequence[str]) -> None:
        """Give the landmarks names, while nothing is predicted or annotated.

        Raises:
            ValueError: Something is, or the names cannot be used.
        """
        if any(self.store.read(key).is_saved for key in self.scans):
            raise ValueError("landmarks: some volumes are annotated, so that their names stay")
        self.landmarks.set_by_person(names)
        self.events.publish("session", {})

    def points(self, key: str) -> dict[str, Point]:
        """Landmarks of a volume: as saved, else as predicted, else not placed."""
        return self._points(key, self.store.read(key))

    def predicted_points(self, key: str) -> dict[str, Point]:
        """Landmarks of a volume as they are predicted or proposed now; none where they are not."""
        known = self.predictions.of(self.scans[key].name)
        if isinstance(known, Reviewed):
            return points_predicted(self.names, known)
        proposed = self.proposals.of(key)
        return {name: Point(one) for name, one in proposed.items() if name in self.names}

    def predicted(self, key: str) -> Predicted:
        """Positions that were predicted when a person began, else those that are predicted now."""
        points = self.store.read(key).state.predicted
        return points or _placed(self.predicted_points(key))

    def save(
        self, key: str, version: int, points: Points, done: bool, seconds: float = 0.0
    ) -> Annotation:
        """Save landmarks of a volume; those that are not given stay as they are.

        Raises:
            KeyError: There is no such volume.
            VersionConflict: Somebody else has saved in the meantime.
            OSError: The folder cannot be written to.
        """
        predicted, run = _placed(self.predicted_points(key)), self.predictions.run
        by = run.folder.name if run is not None and predicted else ""

        def saving(present: Annotation) -> Saving:
            merged = {**self._points(key, present), **points}
            return Saving(merged, done, seconds, predicted, by)

        saved = self.store.save(key, version, saving)
        self._say_changed(key)
        return saved

    def look(self, key: str, tab: str, closed: bool = False) -> None:
        """Note that a tab has a volume open, or has closed it."""
        if self.looking.note(key, tab, closed):
            self._say_changed(key)

    def look_at(self, key: str) -> None:
        """Predict a volume next, if it is not predicted yet."""
        scan, is_known = self.scans[key], self.store.glance(key).is_saved or self.proposals.of(key)
        if self.predictions.run is not None:
            self.predictions.look_at(scan.name)
        elif self.proposer is not None and not is_known and not scan.fault:
            self.proposals.ask(key)

    def ask(self, key: str) -> None:
        """Ask for the prediction of a volume, next or anew.

        Raises:
            ValueError: Nothing predicts.
        """
        scan = self.scans[key]
        if scan.fault or self.predictions.problem:
            raise ValueError(scan.fault or self.predictions.problem)
        if self.predictions.run is not None:
            self.predictions.ask(scan.name)
        elif self.proposer is not None:
            self.proposals.ask(key)
        else:
            raise ValueError("there is no run that predicts")

    def state(self, key: str) -> State:
        """State of a volume in a word."""
        saved = self.store.glance(key)
        if saved.is_saved:
            if not saved.state.done:
                return "in_work"
            return "corrected" if self.moved(key) else "accepted"
        known = self.predictions.of(self.scans[key].name)
        if self.scans[key].fault or isinstance(known, Failed):
            return "failed"
        return "predicted" if known is not None or self.proposals.of(key) else "new"

    def moved(self, key: str) -> list[str]:
        """Landmarks that a person has changed against the prediction."""
        saved = self.store.glance(key)
        return changed_names(saved.points, saved.state.predicted) if saved.is_saved else []

    def progress(self) -> Progress:
        """How many volumes are done, and how long the others may take."""
        return Progress.of([self.store.glance(key).state for key in self.scans])

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
        return self._doubts.of(self.scans[key])

    def done_volumes(self) -> list[DoneVolume]:
        """Volumes that are done, for a training."""
        return done_volumes(self.scans, self.store, self.names)

    def next(self, strategy: str) -> str | None:
        """Volume to do next; None if all are done.

        One that nobody looks at goes before others.

        Raises:
            ValueError: There is no such strategy.
        """
        done = [key for key in self.scans if self.store.glance(key).state.done]
        left = [key for key, one in self.scans.items() if key not in done and not one.fault]
        free = [key for key in left if not self.looking.at(key)] or left
        return next_volume(strategy, free, done, lambda key: self.doubt(key).number, self.learner)

    def _points(self, key: str, saved: Annotation) -> dict[str, Point]:
        empty = dict.fromkeys(self.names, Point())
        return {**empty, **(saved.points if saved.is_saved else self.predicted_points(key))}

    def _is_complete(self, points: Points) -> bool:
        return all(name in points and points[name].is_known for name in self.names)

    def _proposed(self, key: str) -> Predicted | None:
        scan, proposer = self.scans[key], self.proposer
        if proposer is None or not isinstance(scan.file, LocalInput):
            return None
        done = self.done_volumes()
        return proposer.propose(scan.file.path.absolute(), done) if done else None

    def _predicted(self, name: str) -> None:
        self._say_changed(volume_id(name))

    def _say_changed(self, key: str) -> None:
        content = {
            "id": key,
            "version": self.store.glance(key).version,
            "state": self.state(key),
            "looking": self.looking.at(key),
        }
        self.events.publish("volume", content)
        self.events.publish("progress", asdict(self.progress()))

    def _watch(self) -> None:
        while not self._ending.wait(SECONDS_BETWEEN_LOOKS):
            for key, _ in self.store.changed():
                self._say_changed(key)


def _placed(points: Points) -> Predicted:
    return {name: one.position for name, one in points.items() if one.position is not None}

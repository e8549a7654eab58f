"""Session: all that a server knows of the volumes that people annotate."""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.annotation.doubtful import Doubtful, doubtful, usual
from pin_lightning.annotation.events import Events
from pin_lightning.annotation.frames import (
    ANATOMICAL,
    SCANNER,
    ViewFrame,
    anatomical_frame,
    scanner_frame,
)
from pin_lightning.annotation.images import Images
from pin_lightning.annotation.learner import DoneVolume, Learner, NoLearner, Proposer
from pin_lightning.annotation.looking import Looking
from pin_lightning.annotation.names import LandmarkNames
from pin_lightning.annotation.points import (
    Point,
    Points,
    changed_names,
    landmarks_of,
    points_predicted,
)
from pin_lightning.annotation.predictions import PredictingRun, Predictions
from pin_lightning.annotation.states import State
from pin_lightning.annotation.store import PRIVATE, Annotation, AnnotationStore, Saving
from pin_lightning.annotation.volumes import Scans
from pin_lightning.inference.files import LocalInput
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.folds import read_calibration

SECONDS_BETWEEN_LOOKS = 1.0  # at files that others may have changed
STRATEGIES = ("doubt", "random", "diverse")


@dataclass(frozen=True)
class Progress:
    """How far the annotation has come.

    Attributes:
        done: Volumes that are done.
        total: All volumes.
        minutes_left: Time for the others, by that of those that were timed; None without any.
    """

    done: int
    total: int
    minutes_left: float | None


class Session:
    """Volumes, what is predicted and what is saved; safe for threads.

    Args:
        scans: The volumes.
        folder: Folder of the annotations.
        names: Landmark names.
        title: Shown on the page.
        planes: Names of standard planes, with their landmarks.
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
        self._ids = {name: key for key, name in by_id.items()}
        self.store = AnnotationStore(folder, by_id, self._is_complete)
        inputs = {one.name: one.input for one in scans.values() if not one.fault}
        self.predictions = Predictions(folder / PRIVATE / "predictions", inputs, self._predicted)
        self.learner: Learner = NoLearner()
        self.proposer: Proposer | None = None
        self._ending = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def start(self, run: PredictingRun | None = None) -> None:
        """Look at what is saved, begin to predict, and watch for files that others change."""
        for key in self.scans:
            self.store.read(key)
        if run is not None:
            self.use_run(run)
        self._watching.start()

    def use_run(self, run: PredictingRun) -> None:
        """Predict what is not done by a run from now on."""
        self.landmarks.set_by_run(run.names)
        self.predictions.use(run, lambda name: self.store.read(self._ids[name]).state.done)
        self.events.publish("session", {})

    def close(self) -> None:
        """End all that is running."""
        self._ending.set()
        self.events.close()
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
        saved = self.store.read(key)
        if saved.is_saved:
            return {**dict.fromkeys(self.names, Point()), **saved.points}
        return self.predicted_points(key) or dict.fromkeys(self.names, Point())

    def predicted_points(self, key: str) -> dict[str, Point]:
        """Landmarks of a volume as they are predicted now; none where they are not."""
        known = self.predictions.of(self.scans[key].name)
        return points_predicted(self.names, known) if isinstance(known, Reviewed) else {}

    def predicted(self, key: str) -> Mapping[str, tuple[float, float, float]]:
        """Positions that were predicted when a person began, else those that are predicted now."""
        saved = self.store.read(key).state.predicted
        points = saved or {
            name: one.position
            for name, one in self.predicted_points(key).items()
            if one.position is not None
        }
        return {name: one for name, one in points.items() if one is not None}

    def save(
        self, key: str, version: int, points: Points, done: bool, seconds: float = 0.0
    ) -> Annotation:
        """Save landmarks of a volume; those that are not given stay as they are.

        Raises:
            KeyError: There is no such volume.
            VersionConflict: Somebody else has saved in the meantime.
        """
        predicted = self.predicted(key)
        run = self.predictions.run
        by = run.folder.name if run is not None and predicted else ""
        merged = {**self.points(key), **points}
        saving = Saving(merged, done, seconds, predicted, by)
        saved = self.store.save(key, version, saving)
        self._say_changed(key, saved)
        return saved

    def look(self, key: str, tab: str) -> None:
        """Note that a tab has a volume open."""
        if self.looking.note(key, tab):
            self._say_changed(key, self.store.read(key))

    def ask(self, key: str) -> None:
        """Ask for the prediction of a volume, next or anew.

        Raises:
            ValueError: Nothing predicts.
        """
        scan = self.scans[key]
        if self.predictions.run is None:
            raise ValueError("there is no run that predicts")
        if scan.fault or self.predictions.problem:
            raise ValueError(scan.fault or self.predictions.problem)
        self.predictions.ask(scan.name)

    def state(self, key: str) -> State:
        """State of a volume in a word."""
        saved = self.store.read(key)
        if saved.is_saved:
            if not saved.state.done:
                return "in_work"
            return "corrected" if self.moved(key) else "accepted"
        if self.scans[key].fault:
            return "failed"
        known = self.predictions.of(self.scans[key].name)
        return "new" if known is None else "failed" if isinstance(known, Failed) else "predicted"

    def moved(self, key: str) -> list[str]:
        """Landmarks that a person has changed against the prediction."""
        saved = self.store.read(key)
        return changed_names(saved.points, saved.state.predicted) if saved.is_saved else []

    def doubt(self, key: str) -> Doubtful:
        """Doubt about the prediction of a volume."""
        scan = self.scans[key]
        known: Reviewed | Failed | None = self.predictions.of(scan.name)
        if scan.fault:
            known = Failed(scan.name, scan.file.shown, scan.fault)
        return doubtful(known, self.names, usual(self.predictions.known), self._error_bars())

    def frames(self, key: str) -> dict[str, ViewFrame]:
        """View frames of a volume.

        Raises:
            ValueError: It cannot be read.
        """
        header = self.scans.header(self.scans[key])
        frames = {SCANNER: scanner_frame(header)}
        known = self.predictions.of(self.scans[key].name)
        pose = known.pose if isinstance(known, Reviewed) else None
        if pose is not None and pose.to_world is not None:
            frames[ANATOMICAL] = anatomical_frame(header, np.array(pose.to_world))
        return frames

    def progress(self) -> Progress:
        """How many volumes are done, and how long the others may take."""
        states = [self.store.read(key).state for key in self.scans]
        done = [one for one in states if one.done]
        timed = [one.seconds for one in done if one.seconds > 0]
        left = len(states) - len(done)
        minutes = round(left * float(np.mean(timed)) / 60, 1) if timed else None
        return Progress(len(done), len(states), minutes)

    def done_volumes(self) -> list[DoneVolume]:
        """Volumes that are done, for a training; those on other machines are left out."""
        found = []
        for key, scan in self.scans.items():
            saved = self.store.read(key)
            if saved.state.done and isinstance(scan.file, LocalInput) and not scan.fault:
                landmarks = landmarks_of(saved.points).select(self.names)
                path, moved = scan.file.path.absolute(), bool(self.moved(key))
                found.append(DoneVolume(key, scan.name, path, landmarks, moved))
        return found

    def next(self, strategy: str) -> str | None:
        """Volume to do next; None if all are done or looked at.

        Raises:
            ValueError: There is no such strategy.
        """
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy={strategy}: give one of {', '.join(STRATEGIES)}")
        done = [key for key in self.scans if self.store.read(key).state.done]
        left = [key for key in self.scans if key not in done and not self.scans[key].fault]
        free = [key for key in left if not self.looking.at(key)] or left
        if not free:
            return None
        if strategy == "random":
            return random.choice(free)  # not for secrets
        diverse = self.learner.diverse(free, done) if strategy == "diverse" else None
        return diverse or max(free, key=lambda key: self.doubt(key).number)

    def _error_bars(self) -> ErrorBars | None:
        run = self.predictions.run
        if run is None:
            return None
        calibration = read_calibration(run.folder, run.names)
        return None if calibration is None else ErrorBars(calibration, None)

    def _is_complete(self, points: Points) -> bool:
        return all(name in points and points[name].is_known for name in self.names)

    def _predicted(self, name: str) -> None:
        key = self._ids[name]
        self._say_changed(key, self.store.read(key))

    def _say_changed(self, key: str, saved: Annotation) -> None:
        content = {"id": key, "version": saved.version, "state": self.state(key)}
        self.events.publish("volume", content)
        self.events.publish("progress", asdict(self.progress()))

    def _watch(self) -> None:
        while not self._ending.wait(SECONDS_BETWEEN_LOOKS):
            for key, saved in self.store.changed():
                self._say_changed(key, saved)

"""Session: all that a server knows of the volumes that people annotate."""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pin_lightning.annotation.events import Events
from pin_lightning.annotation.images import Images
from pin_lightning.annotation.known import KnownVolumes
from pin_lightning.annotation.learner import Proposer
from pin_lightning.annotation.name_changes import NameChange, carry_out
from pin_lightning.annotation.names import LandmarkNames
from pin_lightning.annotation.points import Points, Predicted, placed
from pin_lightning.annotation.predicting_run import PredictingRun
from pin_lightning.annotation.saved import Annotation, Saving
from pin_lightning.annotation.volumes import Scans, volume_id
from pin_lightning.inference.files import LocalInput

log = logging.getLogger(__name__)

PROPOSED = "proposal"  # what predicts where no run does
SECONDS_BETWEEN_LOOKS = 1.0  # at files that others may have changed
SECONDS_BETWEEN_HEADERS = 0.002  # so that requests go before


class Session(KnownVolumes):
    """Volumes, what is predicted and what is saved; safe for threads.

    Args:
        scans: The volumes.
        folder: Folder of the annotations.
        names: Landmark names.
        title: Shown on the page.
        planes: Names of standard planes, with their landmarks.

    Attributes:
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
        super().__init__(scans, folder, names)
        self.title, self.planes = title, planes
        self.events, self.images = Events(), Images()
        self.proposer: Proposer | None = None
        self._ending, self._naming = threading.Event(), threading.Lock()
        scans.told = self._tell

    def start(self, run: PredictingRun | None = None) -> None:
        """Look at what is saved and at the scans, predict, and watch for what others change."""
        for key in self.scans:
            self.store.read(key)
        if run is not None:
            self.use_run(run)
        for work in (self._watch, self._look_over):
            threading.Thread(target=work, daemon=True).start()

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

    def set_names(self, names: Sequence[str]) -> None:
        """Give the landmarks names, while nothing is predicted or annotated.

        Raises:
            ValueError: Something is, or the names cannot be used.
        """
        if any(self.store.read(key).is_saved for key in self.scans):
            raise ValueError("landmarks: some volumes are annotated, so that their names stay")
        self.landmarks.set_by_person(names)
        self.events.publish("session", {})

    def change_names(self, change: NameChange) -> None:
        """Add, rename or remove a landmark; `carry_out` says what becomes of what is saved.

        Files that cannot be written to now are changed as soon as they can be.

        Raises:
            ValueError: The names are those of a run, a training is running, or they cannot be so.
            OSError: The folder cannot be written to; nothing is changed.
        """
        if self.learner.status()["state"] == "running":
            raise ValueError("landmarks: a training is running; wait for it, or cancel it")
        with self._naming:
            self._change_files()
            if (before := self.landmarks.unfinished) is not None:
                raise ValueError(f"landmarks: {before.name!r} is still being changed; try again")
            for key in self.scans if change.kind == "rename" else ():
                if change.new_name in self.store.glance(key).points:
                    raise ValueError(
                        f"landmarks: {change.new_name!r} is in the file of "
                        f"{self.scans[key].name} already; give another name"
                    )
            self.landmarks.change(change)
            self.proposals.change(change)
            self.events.publish("session", {"change": asdict(change)})
            self._change_files()

    def save(
        self, key: str, version: int, points: Points, done: bool, seconds: float = 0.0
    ) -> Annotation:
        """Save landmarks of a volume; those that are not given stay as they are.

        Raises:
            KeyError: There is no such volume.
            VersionConflict: Somebody else has saved in the meantime.
            OSError: The folder cannot be written to.
        """
        predicted, run = placed(self.predicted_points(key)), self.predictions.run
        by = "" if not predicted else PROPOSED if run is None else run.shown

        def saving(present: Annotation) -> Saving:
            merged = {**self.points_beside(key, present), **points}
            return Saving(merged, done, seconds, predicted, by)

        saved = self.store.save(key, version, saving)
        self._saved(key, saved)
        return saved

    def look(self, key: str, tab: str, closed: bool = False) -> None:
        """Note that a tab has a volume open, or has closed it."""
        if self.looking.note(key, tab, closed):
            self.changed(key)

    def look_at(self, key: str) -> None:
        """Predict a volume next, if it is not predicted yet."""
        scan = self.scans[key]
        if self.predictions.run is not None:
            self.predictions.look_at(scan.name)
        elif self.proposer is None or self.fault(key) or self.store.glance(key).is_saved:
            return
        elif self.proposals.is_due(key):
            self.proposals.ask(key)

    def ask(self, key: str) -> None:
        """Ask for the prediction of a volume, next or anew.

        Raises:
            ValueError: Nothing predicts, or the volume cannot be read.
        """
        scan = self.scans[key]
        if scan.fault or self.predictions.problem:
            raise ValueError(scan.fault or self.predictions.problem)
        if self.fault(key):  # perhaps it can be read by now
            self.scans.header(scan)
            self.scans.note(scan, "")
        if self.predictions.run is not None:
            self.predictions.ask(scan.name)
        elif self.proposer is not None:
            self.proposals.ask(key)
        else:
            raise ValueError("there is no run that predicts")

    def propose(self, key: str) -> Predicted | None:
        """Landmarks of a volume by what is done, as of `Proposer`."""
        scan, proposer = self.scans[key], self.proposer
        if proposer is None or not isinstance(scan.file, LocalInput):
            return None
        done = self.done_volumes()
        return proposer.propose(scan.file.path.absolute(), done) if done else None

    def changed(self, key: str) -> None:
        """Tell open pages of a volume, and how many are done."""
        self._tell(key)
        self.events.publish("progress", asdict(self.progress()))

    def troubled(self) -> None:
        """Tell open pages."""
        self.events.publish("session", {})

    def _tell(self, key: str) -> None:
        content = {
            "id": key,
            "version": self.store.glance(key).version,
            "state": self.state(key),
            "prediction": self.number_of_prediction(key),
            "looking": self.looking.at(key),
        }
        self.events.publish("volume", content)

    def _saved(self, key: str, saved: Annotation) -> None:
        """Is called when somebody has saved a volume, here or by another program."""
        if saved.state.done:
            self.proposals.begin_anew()
        self.changed(key)

    def _change_files(self) -> None:
        """Change names in all files where they are not changed yet."""
        change, left = self.landmarks.unfinished, False
        if change is None or self.landmarks.is_of_run:
            return
        for key in self.scans:
            try:
                if carry_out(change, self.store, key):
                    self._tell(key)
            except OSError as error:  # tried again
                log.warning("%s: %s", self.store.path(key).name, error)
                left = True
        if not left:
            self.landmarks.finish()
        self.events.publish("progress", asdict(self.progress()))

    def _look_over(self) -> None:
        """Find files on this machine that cannot be read, by their headers, one after the other."""
        for scan in self.scans.values():
            if self._ending.wait(SECONDS_BETWEEN_HEADERS):
                return
            if isinstance(scan.file, LocalInput) and not scan.fault:
                with suppress(ValueError):
                    self.scans.header(scan)

    def _watch(self) -> None:
        while not self._ending.wait(SECONDS_BETWEEN_LOOKS):
            try:
                for key, saved in self.store.changed():
                    self._saved(key, saved)
                with self._naming:
                    self._change_files()
            except Exception:  # the next look may go well
                log.exception("files of annotations")

"""TrainingLearner: trains on what is done, one training at a time, in processes that outlive it."""

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pin_lightning.annotation.learner import DoneVolume
from pin_lightning.annotation.learning import processes
from pin_lightning.annotation.learning import training_folder as files
from pin_lightning.annotation.learning.advice import advice
from pin_lightning.annotation.learning.progress import steps_of
from pin_lightning.annotation.learning.result import result_of
from pin_lightning.annotation.learning.settings import check_volumes, settings_of

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 1.0
CACHE = "cache"
_NONE: dict[str, Any] = {
    **{"state": "idle", "step": 0, "steps": 0, "seconds": 0.0, "message": "", "result": None}
}


class TrainingLearner:
    """Trainings in a folder; safe for threads.

    Args:
        folder: Folder of the trainings, each in one of its own.
        unlike: Says which of some volumes is most unlike others, by their ids.
        told: Is called with the status when it has changed.
        finished: Is called with the run of a training that has finished.
        more: Further settings of the cross-validation.
        proposes: Whether nothing else predicts.
    """

    def __init__(
        self,
        folder: Path,
        unlike: Callable[[Sequence[str], Sequence[str]], str | None] = lambda *_: None,
        told: Callable[[dict[str, Any]], None] = lambda _: None,
        finished: Callable[[Path], None] = lambda _: None,
        more: Sequence[str] = (),
        proposes: bool = True,
    ) -> None:
        self.folder, self._unlike, self._more = folder, unlike, tuple(more)
        self._told, self._finished, self._proposes = told, finished, proposes
        self._process: subprocess.Popen[bytes] | None = None
        self._lock, self._ending = threading.RLock(), threading.Event()
        self._results = dict[Path, dict[str, Any]]()
        self._watching: threading.Thread | None = None
        self._attach()

    def status(self) -> dict[str, Any]:
        """State of the present or last training; `seconds` since it began."""
        last = self._last()
        if last is None:
            return dict(_NONE)
        outcome, why = files.outcome_of(last)
        training, steps = files.read_training(last), steps_of(last / files.RUN)
        seconds = self._seconds(last, outcome, training)
        message = why
        if outcome == "running":
            message = steps.left(seconds)
        result = self._result(last, training) if outcome == "finished" else None
        return {
            "state": "failed" if outcome == "interrupted" else outcome,
            **{"step": steps.done, "steps": steps.total, "seconds": round(seconds, 1)},
            **{"message": message if result is None else result["text"], "result": result},
        }

    def start(self, volumes: Sequence[DoneVolume]) -> None:
        """Start a training, or go on with an interrupted one of the same volumes.

        Raises:
            ValueError: One is running, the volumes are too few, or a landmark is in none of them.
        """
        check_volumes(volumes)
        with self._lock:
            last = self._last()
            if last is not None and files.is_at_work(last):
                raise ValueError("a training is running: wait for it, or cancel it")
            folder = self._interrupted(last, volumes) or self._new(volumes)
            self._process = processes.begin(folder)
        self._attach()

    def cancel(self) -> None:
        """End the training, if one is running; what it has done is used by none."""
        with self._lock:
            last = self._last()
            if last is None or files.outcome_of(last)[0] != "running":
                return
            (last / files.CANCELLED).touch()
            processes.end(last)
            if self._process is not None:
                self._process.wait()
        self._told(self.status())

    def advice(self, done: int, total: int) -> str | None:
        """A line about when training pays."""
        last = self._last()
        if last is not None and files.outcome_of(last)[0] == "running":
            return None
        newest = self._newest()
        training = None if newest is None else files.read_training(newest)
        trained_on = 0 if training is None else len(training.cases)
        return advice(done, total, trained_on, self._proposes)

    def contradictions(self) -> list[dict[str, Any]]:
        """Annotated landmarks that the newest training's out-of-fold predictions contradict."""
        newest = self._newest()
        if newest is None:
            return []
        training = files.read_training(newest)
        return list(self._result(newest, training)["contradictions"])

    def diverse(self, candidates: Sequence[str], done: Sequence[str]) -> str | None:
        """The volume most unlike those that are done."""
        return self._unlike(candidates, done)

    def run(self) -> Path | None:
        """Run of the newest training that has finished."""
        newest = self._newest()
        return None if newest is None else newest / files.RUN

    def close(self) -> None:
        """Look no more; a training goes on, and the next server finds it."""
        self._ending.set()
        last = self._last()
        if last is not None and files.is_at_work(last):
            log.info("the training in %s goes on, and is found when the server is started", last)

    def _folders(self) -> list[Path]:
        found = [one.parent for one in self.folder.glob(f"*/{files.TRAINING}")]
        return sorted((one for one in found if one.name.isdecimal()), key=lambda one: int(one.name))

    def _last(self) -> Path | None:
        return next(reversed(self._folders()), None)

    def _newest(self) -> Path | None:
        """The newest one that has finished."""
        found = (one for one in reversed(self._folders()) if files.outcome_of(one)[0] == "finished")
        return next(found, None)

    def _interrupted(self, last: Path | None, volumes: Sequence[DoneVolume]) -> Path | None:
        """The last training, if it was broken off and is of the same volumes."""
        if last is None or files.outcome_of(last)[0] != "interrupted":
            return None
        training = files.read_training(last)
        settings = settings_of(last, len(volumes), self.folder / CACHE, self._more)
        same = training is not None and training.digest == files.digest_of(volumes, settings)
        return last if same else None

    def _new(self, volumes: Sequence[DoneVolume]) -> Path:
        numbers = [int(one.name) for one in self.folder.glob("*") if one.name.isdecimal()]
        folder = self.folder / f"{max(numbers, default=0) + 1:03d}"
        settings = settings_of(folder, len(volumes), self.folder / CACHE, self._more)
        files.write_training(folder, volumes, settings, time.time())
        return folder

    def _seconds(
        self, folder: Path, outcome: files.Outcome, training: files.Training | None
    ) -> float:
        if training is None:
            return 0.0
        ended = folder / files.ENDED
        until = ended.stat().st_mtime if ended.exists() else time.time()
        return max(0.0, until - training.began_at) if outcome in ("running", "finished") else 0.0

    def _result(self, folder: Path, training: files.Training | None) -> dict[str, Any]:
        if folder not in self._results:
            earlier = {} if training is None else training.earlier
            try:
                self._results[folder] = result_of(folder / files.RUN, earlier)
            except (ValueError, OSError, KeyError) as error:
                return {"text": f"its results cannot be read: {error}", "contradictions": []}
        return self._results[folder]

    def _attach(self) -> None:
        """Watch the last training, if it is running, until it ends."""
        with self._lock:
            last = self._last()
            if last is None or files.outcome_of(last)[0] != "running":
                return
            if self._watching is None:
                self._watching = threading.Thread(target=self._watch, daemon=True)
                self._watching.start()

    def _watch(self) -> None:
        """Tell of the last training, which may be another one after a while, until it ends."""
        before: dict[str, Any] = {}
        while not self._ending.is_set():
            with self._lock:
                now = self.status()
                if now["state"] != "running":
                    self._watching = None  # who starts another one has it watched anew
            if (now["state"], now["step"]) != (before.get("state"), before.get("step")):
                self._told(now)
            before = now
            if now["state"] != "running":
                if self._process is not None:
                    self._process.poll()  # else what is left of it stays until the next one
                if now["state"] == "finished" and (newest := self.run()) is not None:
                    self._finished(newest)
                return
            self._ending.wait(SECONDS_BETWEEN_LOOKS)

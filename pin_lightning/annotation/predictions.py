"""Predictions: what a run says of each volume, predicted by a process of its own as it is asked."""

import logging
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pin_lightning.annotation.predicting_run import PredictingRun, settings_of
from pin_lightning.annotation.prediction_child import ChildEnded, DiskFull, PredictionChild
from pin_lightning.inference.header import PredictionHeader, read_header
from pin_lightning.inference.inputs import Input
from pin_lightning.inference.records import Failed, Records
from pin_lightning.runs.doubts import Reviewed

log = logging.getLogger(__name__)

REFUSED = "refused"
DEATHS = 3  # in a row, after which no further process is started
PAUSE_S, MOST_PAUSE_S = 5.0, 300.0  # where the disk is full; twice as long each time in a row
PROBE = 2**20  # bytes that are written to see whether there is space


class Predictions:
    """Predictions of volumes; safe for threads.

    Args:
        folder: Output folder of ``infer``, where records are kept.
        inputs: Volumes by their names.
        told: Is called with the name of a volume when something is known of it.
        troubled: Is called when `problem` has changed.
    """

    def __init__(
        self,
        folder: Path,
        inputs: Mapping[str, Input],
        told: Callable[[str], None],
        troubled: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder, self._inputs = folder, inputs
        self._told, self._troubled = told, troubled
        self.run: PredictingRun | None = None
        self.problem = ""  # why nothing is predicted
        self.changes = 0  # of what is known
        self._known = dict[str, Reviewed | Failed]()
        self._numbers = Counter[str]()
        self._wanted = dict[str, None]()  # the last one is predicted first
        self._later = list[str]()
        self._deadly = set[str]()  # with these the process was killed: only if asked for
        self._changed = threading.Condition()
        self._child: PredictionChild | None = None
        self._thread: threading.Thread | None = None
        self._generation = 0

    def of(self, name: str) -> Reviewed | Failed | None:
        """What is known of a volume."""
        return self._known.get(name)

    def number_of(self, name: str) -> int:
        """How often a volume was predicted by this process: it tells predictions apart."""
        return self._numbers[name]

    @property
    def known(self) -> list[Reviewed]:
        """All that is predicted."""
        return [one for one in list(self._known.values()) if isinstance(one, Reviewed)]

    def use(self, run: PredictingRun, done: Callable[[str], bool]) -> None:
        """Predict by a run from now on; until then what another one said stays.

        Args:
            run: The run.
            done: Whether a volume needs no prediction, by its name.
        """
        self.close()
        if self.run is None or self.run.names != run.names:
            self._known = self._recorded(run.names)
        self.run, self.problem = run, ""
        self.changes += 1
        self._generation += 1
        self._thread = threading.Thread(
            target=self._work, args=(run, done, self._generation), daemon=True
        )
        self._thread.start()

    def ask(self, name: str) -> None:
        """Predict a volume next, anew if it is predicted already."""
        with self._changed:
            self._wanted.pop(name, None)
            self._wanted[name] = None
            self._changed.notify_all()

    def look_at(self, name: str) -> None:
        """Predict a volume next, if it is not predicted yet."""
        if self.run is not None and name in self._later:
            self.ask(name)

    def is_coming(self, name: str) -> bool:
        """Whether a volume of which nothing is known is going to be predicted."""
        hopeless = self.run is None or self.problem or name in self._deadly
        return not hopeless and name not in self._known

    @property
    def waiting(self) -> int:
        """Volumes that are still to be predicted."""
        return len({*self._wanted, *self._later})

    def close(self) -> None:
        """End the process."""
        with self._changed:
            self._generation += 1
            child, thread = self._child, self._thread
            self._child = self._thread = None
            self._later, self._wanted = [], {}
            self._changed.notify_all()
        if child is not None:
            child.end()
        if thread is not None:
            thread.join()

    def _work(self, run: PredictingRun, done: Callable[[str], bool], generation: int) -> None:
        deaths, full = 0, 0
        while self._is_present(generation) and deaths < DEATHS and not self.problem:
            name = ""
            try:
                child = self._begin(run, done, generation)
                while (name := self._next(generation)) and child is not None:
                    child.ask(name)
                    said = child.answer()
                    if said["state"] == REFUSED:
                        self._refuse(child, said)
                        break
                    record = Records(self.folder).read(name)
                    self._note(name, None if record is None else record.one)
                    deaths, full = 0, 0
            except DiskFull as error:
                if not self._is_present(generation):
                    return
                if self._child is not None:
                    self._child.end()
                if name:
                    self.ask(name)
                self._wait_for_space(str(error), min(PAUSE_S * 2**full, MOST_PAUSE_S), generation)
                full += 1
            except ChildEnded as error:
                if not self._is_present(generation):
                    return
                deaths += 1
                log.error("%s: %s", name or run.folder, error)
                if name:
                    self._deadly.add(name)
                    self._note(name, Failed(name, self._inputs[name].file.shown, str(error)))
                self._trouble(str(error) if deaths == DEATHS else "")
                with self._changed:
                    self._wanted.pop(name, None)
            except Exception as error:  # of the system, as without memory for a process
                if not self._is_present(generation):
                    return
                log.exception("%s", name or run.folder)
                self._trouble(f"nothing is predicted any more: {error}; start the server again")

    def _wait_for_space(self, why: str, pause_s: float, generation: int) -> None:
        """Wait until there is space again, or this is to end."""
        log.error("%s", why)
        self._trouble(
            f"nothing is predicted for now: {why}; it goes on by itself once there is space"
        )
        with self._changed:
            while self._is_present(generation):
                ends = time.monotonic() + pause_s
                while self._is_present(generation) and (left := ends - time.monotonic()) > 0:
                    self._changed.wait(left)
                if _has_space(self.folder):
                    break
        if self._is_present(generation):
            self._trouble("")

    def _begin(
        self, run: PredictingRun, done: Callable[[str], bool], generation: int
    ) -> PredictionChild | None:
        settings = settings_of(run, self.folder)
        with self._changed:
            if not self._is_present(generation):
                return None
            child = self._child = PredictionChild()
        child.begin(settings, self._inputs)
        said = child.answer()
        if said["state"] == REFUSED:
            self._refuse(child, said)
            return None
        skipped = self._deadly
        self._later = [one for one in said["todo"] if one not in skipped and not done(one)]
        return child

    def _next(self, generation: int) -> str:
        """The next name, waiting for one; empty if this is to end."""
        with self._changed:
            while generation == self._generation and not self.problem:
                if self._wanted:
                    name, _ = self._wanted.popitem()
                elif self._later:
                    name = self._later[0]
                else:
                    self._changed.wait()
                    continue
                self._later = [one for one in self._later if one != name]
                return name
        return ""

    def _is_present(self, generation: int) -> bool:
        return generation == self._generation

    def _recorded(self, names: tuple[str, ...]) -> dict[str, Reviewed | Failed]:
        """What is recorded of these landmarks, by whatever run."""
        with suppress(ValueError):
            header = read_header(self.folder)
            if isinstance(header, PredictionHeader) and header.names == names:
                ones = [record.one for record in Records(self.folder)]
                return {one.name: one for one in ones if one.name in self._inputs}
        return {}

    def _refuse(self, child: PredictionChild, said: Mapping[str, Any]) -> None:
        reason = str(said.get("reason", ""))
        log.error("%s", reason)
        child.end()
        self._trouble(reason)

    def _trouble(self, problem: str) -> None:
        if self.problem != problem:
            self.problem = problem
            self._troubled()

    def _note(self, name: str, one: Reviewed | Failed | None) -> None:
        if one is not None:
            self._known[name] = one
            self._numbers[name] += 1
            self.changes += 1
        self._told(name)


def _has_space(folder: Path) -> bool:
    """Whether a file can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE))
    except OSError:
        return False
    return True

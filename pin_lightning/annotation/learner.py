"""What a server asks of those who train and propose, and what it does without them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pin_lightning.annotation.points import Predicted
from pin_lightning.common.landmark_set import LandmarkSet


@dataclass(frozen=True, eq=False)
class DoneVolume:
    """A volume that is done.

    Attributes:
        id: Its id.
        name: Its name.
        path: Its image on this machine.
        landmarks: What is saved.
        is_corrected: Whether something was changed against the prediction.
        predicted: What was predicted when a person began, in world RAS+ mm; empty without one.
        by: What predicted it.
    """

    id: str
    name: str
    path: Path
    landmarks: LandmarkSet
    is_corrected: bool
    predicted: Predicted = field(default_factory=dict)
    by: str = ""


@runtime_checkable
class Learner(Protocol):
    """Trains on what is done."""

    def status(self) -> dict[str, Any]:
        """State of the present or last training, as of `answers.Training`."""

    def start(self, volumes: Sequence[DoneVolume]) -> None:
        """Start a training in a process of its own.

        Raises:
            ValueError: One is running, or there are too few volumes.
        """

    def cancel(self) -> None:
        """End a training."""

    def advice(self, done: int, total: int) -> str | None:
        """A line about when training pays; None if there is nothing to say."""

    def contradictions(self) -> list[dict[str, Any]]:
        """Annotated landmarks that out-of-fold predictions contradict."""

    def diverse(self, candidates: Sequence[str], done: Sequence[str]) -> str | None:
        """Of volumes by their ids, the one most unlike those that are done; None: it cannot say."""

    def run(self) -> Path | None:
        """The newest run that was trained here, which predicts from then on; None without one."""

    def close(self) -> None:
        """End what is running."""


@runtime_checkable
class Proposer(Protocol):
    """Proposes landmarks where no run predicts."""

    def propose(
        self, path: Path, done: Sequence[DoneVolume]
    ) -> Mapping[str, tuple[float, float, float]] | None:
        """World RAS+ mm of landmarks of a scan, by what is done; None if it cannot."""

    def close(self) -> None:
        """End what is running."""


class NoLearner:
    """Says that nothing is trained here."""

    def status(self) -> dict[str, Any]:
        """Nothing is running."""
        return {
            **{"state": "idle", "step": 0, "steps": 0, "seconds": 0.0, "result": None},
            "message": "training is not available here",
        }

    def start(self, volumes: Sequence[DoneVolume]) -> None:
        """Refuse."""
        raise ValueError("training is not available here")

    def cancel(self) -> None:
        """Do nothing."""

    def advice(self, done: int, total: int) -> str | None:
        """Say nothing."""
        return None

    def contradictions(self) -> list[dict[str, Any]]:
        """None are known."""
        return []

    def diverse(self, candidates: Sequence[str], done: Sequence[str]) -> str | None:
        """Cannot say."""
        return None

    def run(self) -> Path | None:
        """There is none."""
        return None

    def close(self) -> None:
        """Do nothing."""

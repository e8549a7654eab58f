"""How far an annotation has come."""

from collections.abc import Collection
from dataclasses import dataclass

from pin_lightning.annotation.annotation_files import SavedState


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

    @classmethod
    def of(cls, states: Collection[SavedState]) -> "Progress":
        """Count what is saved of all volumes."""
        done = [one for one in states if one.done]
        timed = [one.seconds for one in done if one.seconds > 0]
        left, minutes = len(states) - len(done), None
        if timed:
            minutes = round(left * sum(timed) / len(timed) / 60, 1)
        return cls(len(done), len(states), minutes)

"""Changes of landmark names, and what they mean for what is saved already."""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from pin_lightning.annotation.points import Point
from pin_lightning.annotation.saved import Annotation, Saving, VersionConflict
from pin_lightning.annotation.store import AnnotationStore

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["add", "rename", "remove"]
Value = TypeVar("Value")
TRIES = 5  # where somebody saves in the meantime


@dataclass(frozen=True)
class NameChange:
    """A change of the landmark names.

    Attributes:
        kind: What happens.
        name: The name that is added, renamed or removed.
        new_name: The one that it gets; empty unless it is renamed.
    """

    kind: Kind
    name: str
    new_name: str = ""

    def renamed(self, values: "dict[str, Value]") -> "dict[str, Value]":
        """Values by names after the change, in the same order."""
        if self.kind != "rename":
            return values
        own = {name: one for name, one in values.items() if name == self.new_name}
        changed = {self.new_name if name == self.name else name: values[name] for name in values}
        return {**changed, **own}


def carry_out(change: NameChange, store: AnnotationStore, key: str) -> bool:
    """Change the file of a volume, as a new version, where the change is not in it yet.

    A landmark that is renamed is so in the file. Where one is added, a volume that is done is not
    any more, unless the landmark is known there already. One that is removed stays in the file.

    Returns:
        Whether there was something to change.

    Raises:
        OSError: The folder cannot be written to, or somebody else writes the file now.
    """
    for _ in range(TRIES):
        present = store.read(key)
        if (saving := _saving(change, present)) is None:
            return False
        try:
            store.save(key, present.version, partial(_same, saving))
        except VersionConflict:
            continue
        return True
    raise BlockingIOError(f"{store.names[key]}: is being saved all the time")


def _same(saving: Saving, present: Annotation) -> Saving:
    return saving


def _saving(change: NameChange, present: Annotation) -> Saving | None:
    """What is to be saved of a volume, if anything."""
    points, state = dict(present.points), present.state
    if change.kind == "rename" and change.name in points:
        if not points.get(change.new_name, Point()).is_known:
            points.pop(change.new_name, None)  # not placed by who knew the new name already
        predicted = change.renamed(dict(state.predicted))
        return Saving(change.renamed(points), state.done, 0.0, predicted, renames=True)
    if change.kind == "add" and state.done and not points.get(change.name, Point()).is_known:
        return Saving({**points, change.name: Point()}, done=False)
    return None

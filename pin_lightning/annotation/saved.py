"""What is saved of a volume, and what is to be."""

from dataclasses import dataclass

from pin_lightning.annotation.annotation_files import SavedState
from pin_lightning.annotation.points import Points, Predicted


@dataclass(frozen=True)
class Annotation:
    """What is saved of a volume.

    Attributes:
        state: Version, and what else the file does not say.
        points: Landmarks, in the order of the file; none where there is no file.
        problem: Why the file cannot be read; else empty.
    """

    state: SavedState
    points: Points
    problem: str = ""

    @property
    def version(self) -> int:
        """Version of the file."""
        return self.state.version

    @property
    def is_saved(self) -> bool:
        """Whether there is a file with landmarks."""
        return bool(self.points)


class VersionConflict(Exception):
    """Somebody else has saved in the meantime.

    Attributes:
        present: What is saved now.
    """

    def __init__(self, present: Annotation) -> None:
        super().__init__(f"version {present.version} is saved now")
        self.present = present


@dataclass(frozen=True)
class Saving:
    """What is to be saved of a volume.

    Attributes:
        points: All landmarks, in the order of the file.
        done: Whether the volume is done.
        seconds: Time spent since the last save.
        predicted: What was predicted; used where nothing is known of it yet.
        by: What predicted it.
        renames: Whether landmarks got other names: `predicted` has them, and is used anyway.
    """

    points: Points
    done: bool
    seconds: float = 0.0
    predicted: Predicted | None = None
    by: str = ""
    renames: bool = False

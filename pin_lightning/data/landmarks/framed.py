"""FramedLandmarks: the content of a landmark file, in the file's own frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.landmark_set import LandmarkSet

# RAS and LPS in mm; voxel: 0-based index along the image's own axes as stored.
FRAMES = ("RAS", "LPS", "voxel")


@dataclass(frozen=True, eq=False)
class FramedLandmarks:
    """The landmarks of one case in the frame of their file.

    Build it with `FramedLandmarks.of`, which validates the names.

    Attributes:
        names: One unique name per landmark.
        positions: Positions in the frame of the file [L, 3], NaN where undefined.
        frame: One of `FRAMES`; None if the file does not say.
    """

    names: tuple[str, ...]
    positions: Float64[np.ndarray, "L 3"]
    frame: str | None

    @classmethod
    def of(
        cls,
        path: Path,
        names: Sequence[str],
        positions: Sequence[Sequence[float]],
        frame: str | None,
    ) -> "FramedLandmarks":
        """Build a set after validating its names; `path` is for messages.

        Raises:
            ValueError: There are no landmarks, one has no name, or two have the same.
        """
        if not names:
            raise ValueError(f"{path}: holds no landmarks; place them and save it again")
        for number, name in enumerate(names, 1):
            if not name.strip():
                raise ValueError(f"{path}: landmark {number} has no label; name every landmark")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{path}: labels occur twice: {', '.join(twice)}; make each unique")
        return cls(tuple(names), np.array(positions, dtype=np.float64), frame)


def check_plain_names(path: Path, names: Sequence[str]) -> None:
    """Validate that names survive writing to a text file; `path` is for messages.

    Raises:
        ValueError: A name is empty, starts or ends with a blank, or holds a line break.
    """
    for name in names:
        if not name or name != name.strip() or len(name.splitlines()) > 1 or "\0" in name:
            raise ValueError(
                f"{path}: the name {name!r} cannot be written; use one line of text that neither "
                f"starts nor ends with a blank"
            )


def checked_descriptions(
    path: Path, landmarks: LandmarkSet, descriptions: Sequence[str] | None
) -> list[str]:
    """One description per landmark, empty by default; ValueError if their number is another."""
    texts = [""] * len(landmarks) if descriptions is None else list(descriptions)
    if len(texts) != len(landmarks):
        raise ValueError(
            f"{path}: {len(texts)} descriptions for {len(landmarks)} landmarks; give one for each"
        )
    return texts

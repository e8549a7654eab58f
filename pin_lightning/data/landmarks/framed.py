"""FramedLandmarks: what a landmark file holds, before its positions are moved to the world."""

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
    """The landmarks of one case, as their file has them.

    Build it with `FramedLandmarks.of`, which checks the names.

    Attributes:
        names: One name per landmark, no two the same.
        positions: Positions in the frame of the file [L, 3], NaN where undefined.
        frame: One of `FRAMES`, none when the file does not say.
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
        """Landmarks whose names are checked.

        Args:
            path: Their file, for messages.
            names: One name per landmark.
            positions: One x, y, z per landmark, NaN where undefined.
            frame: One of `FRAMES`, none when the file does not say.

        Raises:
            ValueError: There are none, one has no name, or two have the same.
        """
        if not names:
            raise ValueError(f"{path}: holds no landmarks; place them and save it again")
        for index, name in enumerate(names):
            if not name.strip():
                raise ValueError(f"{path}: landmark {index + 1} has no label; name every landmark")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{path}: labels occur twice: {', '.join(twice)}; make each unique")
        return cls(tuple(names), np.array(positions, dtype=np.float64), frame)


def check_plain_names(path: Path, names: Sequence[str]) -> None:
    """Refuse names that a text file cannot keep: they would come back changed, or not at all.

    Args:
        path: File that is to be written, for messages.
        names: Names of landmarks or cases.

    Raises:
        ValueError: A name is empty, starts or ends with a blank, or has a line break in it.
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
    """One description per landmark, empty ones when none are given.

    Raises:
        ValueError: The number of descriptions is not the number of landmarks.
    """
    texts = [""] * len(landmarks) if descriptions is None else list(descriptions)
    if len(texts) != len(landmarks):
        raise ValueError(
            f"{path}: {len(texts)} descriptions for {len(landmarks)} landmarks; give one for each"
        )
    return texts

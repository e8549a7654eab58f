"""FramedLandmarks: the content of a landmark file, in the file's own frame."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from nibabel.affines import apply_affine

from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.spelling import check_one_line, one_spelling
from pin_lightning.data.images.reading import read_header

log = logging.getLogger(__name__)

# RAS and LPS in mm; voxel: 0-based index along the image's own axes as stored.
FRAMES = ("RAS", "LPS", "voxel")
# Old versions of 3D Slicer wrote the number of the enumeration instead of its name.
SLICER_FRAMES = {"RAS": "RAS", "LPS": "LPS", "0": "RAS", "1": "LPS"}


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
        """Build a set after validating its names, in one spelling; `path` is for messages.

        Raises:
            ValueError: There are no landmarks, one has no name or one of several lines, or two have
                the same.
        """
        names = [one_spelling(name) for name in names]
        if not names:
            raise ValueError(f"{path}: holds no landmarks; place them and save it again")
        for number, name in enumerate(names, 1):
            if not name.strip():
                raise ValueError(f"{path}: landmark {number} has no label; name every landmark")
            check_one_line(f"{path}: landmark {number}", name)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{path}: labels occur twice: {', '.join(twice)}; make each unique")
        return cls(tuple(names), np.array(positions, dtype=np.float64), frame)

    def to_world(
        self, path: Path, frame: str, image: Path | None, of_case: str = ""
    ) -> LandmarkSet:
        """Convert to world RAS+ mm, in this one place for all formats; `path` is for messages.

        Raises:
            ValueError: Voxel indices have no image, or its header cannot be read.
        """
        positions = self.positions
        if frame == "voxel":
            if image is None:
                raise ValueError(f"{path}: voxel indices{of_case} need their image; give the image")
            positions = apply_affine(read_header(image)[1], positions)
        elif frame == "LPS":
            positions = flip_lps_ras(positions)
        return LandmarkSet.of(self.names, positions)


def warn_of_previews(path: Path, names: Sequence[str]) -> None:
    """Log the landmarks, if any, that 3D Slicer saved with the status ``preview``.

    They have a position, that of the mouse while a landmark was about to be placed.
    """
    if names:
        said = "%s: %d landmarks with the status 'preview' count as missing: %s; place them again"
        log.warning(said, path, len(names), ", ".join(names))


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

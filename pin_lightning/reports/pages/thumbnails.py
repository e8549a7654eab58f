"""Small pictures of a volume: three slices through its predicted landmarks, as PNG bytes."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from matplotlib.image import imsave

from pin_lightning.common.files import whole_file
from pin_lightning.common.geometry import Grid
from pin_lightning.reports.figures.labels import PLANES
from pin_lightning.reports.pages.page import data_uri


@dataclass(frozen=True)
class Mark:
    """A landmark on a thumbnail: `x`, `y` and `radius` in voxels, from the top left corner."""

    name: str
    x: float
    y: float
    radius: float | None
    flagged: bool


@dataclass(frozen=True)
class Thumbnail:
    """A slice as a data URI, one pixel per voxel, and the landmarks projected onto it.

    `title` names its axes, across and up. Flagged landmarks come last, on top.
    """

    title: str
    uri: str
    width: int
    height: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, eq=False)
class MiddleSlices:
    """Slices x-z, y-z and x-y of a volume through the middle of its landmarks; + is right and up.

    Attributes:
        landmarks_ijk: The landmarks in voxels.
        pictures: Grey values of each slice.
    """

    landmarks_ijk: Float64[np.ndarray, "L 3"]
    pictures: tuple[UInt8[np.ndarray, "_ _"], ...]

    @classmethod
    def of(
        cls, volume: UInt8[np.ndarray, "X Y Z"], landmarks_ijk: Float64[np.ndarray, "L 3"]
    ) -> "MiddleSlices":
        """Cut the slices of a working volume; landmarks that are not finite are ignored."""
        size, drawn = volume.shape, np.isfinite(landmarks_ijk).all(axis=1)
        centre = landmarks_ijk[drawn].mean(axis=0) if drawn.any() else np.array(size) / 2
        pictures = []
        for across, up in PLANES:
            depth = 3 - across - up
            index = int(np.clip(round(float(centre[depth])), 0, size[depth] - 1))
            pictures.append(volume.take(index, axis=depth).T[::-1])
        return cls(landmarks_ijk, tuple(pictures))

    def save(self, path: Path) -> None:
        """Write them to an ``.npz`` file."""
        with whole_file(path) as temporary:
            np.savez_compressed(temporary, self.landmarks_ijk, *self.pictures)

    @classmethod
    def load(cls, path: Path) -> "MiddleSlices":
        """Read what `save` wrote."""
        with np.load(path) as file:
            landmarks_ijk, *pictures = (file[name] for name in file.files)
        return cls(landmarks_ijk, tuple(pictures))


def thumbnails(
    slices: MiddleSlices,
    grid: Grid,
    names: tuple[str, ...],
    radius_mm: Float64[np.ndarray, " L"] | None,
    flagged: np.ndarray,
) -> Iterator[Thumbnail]:
    """Slices of a working volume with its landmarks, the radii of their error bars and flags."""
    landmarks_ijk = slices.landmarks_ijk
    drawn = np.isfinite(landmarks_ijk).all(axis=1)
    for (across, up), picture in zip(PLANES, slices.pictures, strict=True):
        height = grid.size[up]
        marks = [
            Mark(
                name=names[i],
                x=round(float(landmarks_ijk[i, across]) + 0.5, 2),  # pixels are drawn from 0 to 1
                y=round(height - 0.5 - float(landmarks_ijk[i, up]), 2),
                radius=None if radius_mm is None else round(radius_mm[i] / grid.spacing_mm, 2),
                flagged=bool(flagged[i]),
            )
            for i in np.argsort(flagged, kind="stable")
            if drawn[i]
        ]
        title = f"{'xyz'[across]}-{'xyz'[up]}"
        yield Thumbnail(title, _png(picture), grid.size[across], height, tuple(marks))


def _png(picture: UInt8[np.ndarray, "H W"]) -> str:
    stream = io.BytesIO()
    grey = np.repeat(picture[..., None], 3, axis=-1)  # RGB: matplotlib would map grey to colours
    imsave(stream, np.ascontiguousarray(grey), format="png")
    return data_uri(stream.getvalue(), ".png")

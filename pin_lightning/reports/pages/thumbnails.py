"""Small pictures of a volume: three slices through its predicted landmarks, as PNG bytes."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8
from matplotlib.image import imsave

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.figures.labels import PLANES
from pin_lightning.reports.pages.page import data_uri


@dataclass(frozen=True)
class Mark:
    """A landmark on a thumbnail, in voxels from its top left corner.

    Attributes:
        name: Of the landmark.
        x: To the right.
        y: Down.
        radius: Of its error bar, none without one.
        flagged: Whether a person should look at it.
    """

    name: str
    x: float
    y: float
    radius: float | None
    flagged: bool


@dataclass(frozen=True)
class Thumbnail:
    """A slice with landmarks.

    Attributes:
        title: Its axes, across and up.
        uri: The slice as a data URI, one pixel for each voxel.
        width: Of the slice in voxels.
        height: Of the slice in voxels.
        marks: Landmarks projected onto it, those to look at last, on top.
    """

    title: str
    uri: str
    width: int
    height: int
    marks: tuple[Mark, ...]


def thumbnails(
    volume: UInt8[np.ndarray, "X Y Z"],
    grid: Grid,
    landmarks_ijk: Float64[np.ndarray, "L 3"],
    names: tuple[str, ...],
    radius_mm: Float64[np.ndarray, " L"] | None,
    flagged: np.ndarray,
) -> Iterator[Thumbnail]:
    """Slices x-z, y-z and x-y of the volume through the middle of the landmarks; + is right and up.

    Args:
        volume: Working volume.
        grid: Its grid.
        landmarks_ijk: Predicted positions in voxels.
        names: Landmark names.
        radius_mm: Of the error bars, none without them.
        flagged: Which landmarks a person should look at.
    """
    drawn = np.isfinite(landmarks_ijk).all(axis=1)
    centre = landmarks_ijk[drawn].mean(axis=0) if drawn.any() else np.array(grid.size) / 2
    for across, up in PLANES:
        depth = 3 - across - up
        index = int(np.clip(round(float(centre[depth])), 0, grid.size[depth] - 1))
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
        picture = volume.take(index, axis=depth).T[::-1]
        title = f"{'xyz'[across]}-{'xyz'[up]}"
        yield Thumbnail(title, _png(picture), grid.size[across], height, tuple(marks))


def _png(picture: UInt8[np.ndarray, "H W"]) -> str:
    stream = io.BytesIO()
    grey = np.repeat(picture[..., None], 3, axis=-1)  # as it is: no colour map, no stretching
    imsave(stream, np.ascontiguousarray(grey), format="png")
    return data_uri(stream.getvalue(), ".png")

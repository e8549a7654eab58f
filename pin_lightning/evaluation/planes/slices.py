"""Oblique slices: the cross-section of an original image with a standard plane."""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage

from pin_lightning.data.preprocessing import OriginalImage, rescale
from pin_lightning.evaluation.planes.plane import Plane

LONGEST_SIDE = 2048  # pixels; longer cross-sections have larger pixels
CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
# Pairs of corners that differ along one axis.
EDGES = [(one, one | bit) for bit in (1, 2, 4) for one in range(8) if not one & bit]


@dataclass(frozen=True, eq=False)
class PlaneSlice:
    """The cross-section of an image with a plane.

    Attributes:
        pixels: Intensities of the image, along x and y axis of the plane; NaN outside the image.
        affine: Pixel index to world RAS+ mm; the third column is the normal, as long as a pixel.
        window: Intensities shown as black and as white.
    """

    pixels: Float32[np.ndarray, "W H"]
    affine: Float64[np.ndarray, "4 4"]
    window: tuple[float, float]

    @property
    def picture(self) -> UInt8[np.ndarray, "H W"]:
        """Grey values from top to bottom: x to the right, y upwards, black outside the image."""
        low, high = self.window
        grey = rescale(np.nan_to_num(self.pixels, nan=low)[..., None], low, high)[..., 0]
        return np.flipud(grey.round().astype(np.uint8).T)


def cut_slice(image: OriginalImage, plane: Plane) -> PlaneSlice | None:
    """Cut the whole cross-section of an image with a plane; None if the plane misses the image.

    Pixels are as wide as the shortest side of a voxel, interpolated linearly, and one of them lies
    at the centre of the plane.
    """
    ends_mm = _ends(image, plane)
    if ends_mm is None:
        return None
    side_mm = float(voxel_sizes(image.affine).min())
    side_mm = max(side_mm, float(np.ptp(ends_mm, axis=0).max()) / (LONGEST_SIDE - 1))
    first, last = np.ceil(ends_mm[0] / side_mm), np.floor(ends_mm[1] / side_mm)
    width, height = (int(count) for count in np.maximum(last - first, 0) + 1)
    affine = np.eye(4)
    affine[:3, :3] = side_mm * plane.directions
    affine[:3, 3] = plane.to_world(side_mm * np.array([*first, 0.0]))
    return PlaneSlice(_sample(image, affine, (width, height)), affine, image.window)


def _ends(image: OriginalImage, plane: Plane) -> Float64[np.ndarray, "2 2"] | None:
    """Least and largest x and y, in mm from the plane's centre, where the plane cuts the image."""
    corners_ijk = CORNERS * np.array(image.voxels.shape) - 0.5  # outer faces
    corners_mm = plane.from_world(apply_affine(image.affine, corners_ijk))
    start, end = corners_mm[np.array(EDGES).T]
    cut = (start[:, 2] < 0) != (end[:, 2] < 0)
    if not cut.any():
        return None
    start, end = start[cut], end[cut]
    share = start[:, 2:] / (start[:, 2:] - end[:, 2:])
    points_mm = (start + share * (end - start))[:, :2]
    return np.stack([points_mm.min(axis=0), points_mm.max(axis=0)])


def _sample(
    image: OriginalImage, affine: Float64[np.ndarray, "4 4"], size: tuple[int, int]
) -> Float32[np.ndarray, "W H"]:
    """Intensities at pixels, constant in the half voxel beyond the outermost centres."""
    pixels = np.stack(np.meshgrid(*map(np.arange, size), [0], indexing="ij"), axis=-1)[:, :, 0]
    places = apply_affine(np.linalg.inv(image.affine) @ affine, pixels)
    inside = ((places >= -0.5) & (places <= np.array(image.voxels.shape) - 0.5)).all(axis=-1)
    found = ndimage.map_coordinates(
        image.voxels, np.moveaxis(places, -1, 0), np.float32, order=1, mode="nearest"
    )
    return np.where(inside, found, np.float32(np.nan))

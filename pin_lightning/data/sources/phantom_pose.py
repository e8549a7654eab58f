"""Phantoms in any orientation: heads turned within the picture of the probe, or pictures turned."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64, UInt8
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import Pose
from pin_lightning.data.sources import phantom_anatomy as anatomy
from pin_lightning.data.sources.phantom_anatomy import Head
from pin_lightning.data.sources.phantom_scan import APEX_MM, FARTHEST_MM, NEAREST_MM, SECTOR_DEGREES

EXTENT_MM = np.array([162.0, 103.5, 139.5])  # of the volume, whatever its size and spacing
MARGIN_MM = 4.0  # between the skull and the border of the picture, where there is room
TRIES = 1000  # positions; of a head too large for the margin, the one farthest inside is taken


def turned_head(head: Head, rng: np.random.Generator, field: float = 1.0) -> Head:
    """The same head in any orientation and at any place of the picture that shows all of its skull.

    Rotations are uniform. Where a head hardly fits, little is left of the places.

    Args:
        head: The head.
        rng: Source of rotation and place.
        field: Extent of the picture relative to the usual one.
    """
    rotation = Rotation.random(random_state=rng).as_matrix()
    middle = anatomy.to_volume(head, np.zeros((1, 3)))[0]
    # The map is ``linear @ bent + shift``: turned about the middle, then moved to the origin.
    centred = replace(head, linear=rotation @ head.linear, shift=rotation @ (head.shift - middle))
    points = _outline_mm(centred)
    low, high = points.min(axis=0), points.max(axis=0)
    half = EXTENT_MM * field / 2
    free = np.maximum(half - (high - low) / 2, 0)
    places = free * rng.uniform(-1, 1, (TRIES, 3)) - (low + high) / 2
    inside = clearance_mm(points + places[:, None], field).min(axis=1)
    roomy = np.flatnonzero(inside >= MARGIN_MM)
    place = places[roomy[0] if len(roomy) else inside.argmax()]
    return replace(centred, shift=centred.shift + place)


def turn_of_scan(head: Head, rng: np.random.Generator, field: float = 1.0) -> Pose:
    """Rotation and shift that bring a picture anywhere where its skull stays in the volume.

    Rotations are uniform.

    Args:
        head: The head of the picture.
        rng: Source of rotation and place.
        field: Extent of the volume relative to the usual one.
    """
    rotation = Rotation.random(random_state=rng).as_matrix()
    points = _outline_mm(head) @ rotation.T
    low, high = points.min(axis=0), points.max(axis=0)
    free = np.maximum(EXTENT_MM * field / 2 - MARGIN_MM - (high - low) / 2, 0)
    return Pose(rotation, free * rng.uniform(-1, 1, 3) - (low + high) / 2)


def turned_scan(
    picture: UInt8[np.ndarray, "X Y Z"],
    spacing_mm: Sequence[float],
    turn: Pose,
    size: Sequence[int],
) -> UInt8[np.ndarray, "X2 Y2 Z2"]:
    """Picture turned and shifted about the centre of a volume of another size, zeros around it.

    Args:
        picture: The picture.
        spacing_mm: Voxel sides of both.
        turn: From mm about the centre of the picture to those about the centre of the volume.
        size: Voxels of the volume.
    """
    sides = np.array(spacing_mm)
    back = turn.inverse()
    matrix = back.rotation * sides / sides[:, None]
    middle, new_middle = (np.array(picture.shape) - 1) / 2, (np.array(size) - 1) / 2
    offset = middle + back.shift_mm / sides - matrix @ new_middle
    voxels = ndimage.affine_transform(
        picture.astype(np.float32), matrix, offset, tuple(size), order=1
    )
    return np.rint(voxels).astype(np.uint8)


def _outline_mm(head: Head) -> Float64[np.ndarray, "16 3"]:
    """Landmarks, and the ends of the skull's axes, in mm from the volume's centre."""
    poles = np.concatenate([np.diag(anatomy.SKULL_MM), -np.diag(anatomy.SKULL_MM)])
    return anatomy.to_volume(head, np.concatenate([anatomy.landmarks_in_head(head), poles]))


def clearance_mm(
    points_mm: Float64[np.ndarray, "*n 3"], field: float = 1.0
) -> Float64[np.ndarray, "*n"]:
    """Distance of points from the nearest border of the picture; negative outside of it.

    The picture is what both the volume and the sector of the probe hold.

    >>> clearance_mm(np.array([[0.0, 50.0, 0.0]]))  # the volume ends at 51.75
    array([1.75])
    """
    widest = np.deg2rad(SECTOR_DEGREES)
    from_apex = points_mm + np.array([0.0, APEX_MM * field, 0.0])
    depth = np.linalg.norm(from_apex, axis=-1)
    sideways = np.abs(points_mm[..., [0, 2]]).max(axis=-1)
    borders = [
        (EXTENT_MM * field / 2 - np.abs(points_mm)).min(axis=-1),
        np.minimum(depth - NEAREST_MM * field, FARTHEST_MM * field - depth),
        np.sin(widest) * from_apex[..., 1] - np.cos(widest) * sideways,
    ]
    return np.minimum.reduce(borders)

"""Planes fitted to landmarks, and the angle and offset between two planes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.planes.axes import Vector
from pin_lightning.evaluation.planes.groups import PlaneGroup

Points: TypeAlias = Float64[np.ndarray, "*rest 3"]
# No plane is fitted to landmarks whose extent across their main direction is a smaller share of
# that along it, or with an x axis as close to the normal.
SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane in world RAS+ mm with axes in it; the axes are orthonormal and right-handed.

    Attributes:
        centre_world: Origin of positions in the plane.
        x_axis: Unit vector in the plane.
        y_axis: Unit vector in the plane, ``normal`` times ``x_axis``.
        normal: Unit vector across it.
    """

    centre_world: Vector
    x_axis: Vector
    y_axis: Vector
    normal: Vector

    @property
    def directions(self) -> Float64[np.ndarray, "3 3"]:
        """X axis, y axis and normal as the columns of a matrix."""
        return np.stack([self.x_axis, self.y_axis, self.normal], axis=1)

    def from_world(self, points_world: Points) -> Points:
        """Positions in mm along x axis, y axis and normal, relative to the centre."""
        return (points_world - self.centre_world) @ self.directions

    def to_world(self, points_mm: Points) -> Points:
        """World positions of points given along x axis, y axis and normal."""
        return points_mm @ self.directions.T + self.centre_world


def fit_plane(
    group: PlaneGroup, names: Sequence[str], positions_world: Float64[np.ndarray, "L 3"]
) -> Plane | None:
    """Fit the least-squares plane through the landmarks of a group.

    Its centre is the mean of the landmarks. Seen from the tip of its normal, the landmarks run
    counter-clockwise in the order of the group (sign of the enclosed area), so that a plane shows
    the same side of the anatomy however a patient lies.

    Args:
        group: Plane group.
        names: Landmark names.
        positions_world: Their positions, RAS+ mm; undefined ones, NaN, are left out.

    Returns:
        The plane; None if fewer than three of its landmarks are defined, if they lie on a line, or
        if the x axis is undefined or normal to the plane.
    """
    placed = zip(names, positions_world, strict=True)
    defined = {name: position for name, position in placed if np.isfinite(position).all()}
    points = np.array([defined[name] for name in group.landmarks if name in defined])
    along = group.x_axis.direction(defined)
    if len(points) < 3 or along is None:
        return None
    centre = points.mean(axis=0)
    normal = _normal(points - centre)
    x_axis = None if normal is None else _projected(along, normal)
    if normal is None or x_axis is None:
        return None
    return Plane(centre, x_axis, np.cross(normal, x_axis), normal)


def _normal(points: Float64[np.ndarray, "M 3"]) -> Vector | None:
    """Unit normal of the plane through points around the origin; None if they lie on a line."""
    _, extents, directions = np.linalg.svd(points)
    if extents[1] <= SMALLEST_SHARE * extents[0]:
        return None
    area = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)
    return directions[2] if area @ directions[2] >= 0 else -directions[2]


def _projected(vector: Vector, normal: Vector) -> Vector | None:
    """Unit vector of the projection into the plane; None if that is close to zero."""
    part = vector - (vector @ normal) * normal
    length = float(np.linalg.norm(part))
    return part / length if length > SMALLEST_SHARE * np.linalg.norm(vector) else None


def angle_degrees(plane: Plane, other: Plane) -> float:
    """Angle between two planes, 0 to 90 degrees."""
    across = np.linalg.norm(np.cross(plane.normal, other.normal))
    return float(np.degrees(np.arctan2(across, abs(plane.normal @ other.normal))))


def offset_mm(plane: Plane, truth: Plane) -> float:
    """Distance of the centre of the true plane from a plane, in mm, not negative."""
    return abs(float(plane.from_world(truth.centre_world)[2]))

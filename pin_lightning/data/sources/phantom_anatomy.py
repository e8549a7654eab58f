"""Anatomy of the phantom: a random head, its landmarks, its echo at any point.

Head coordinates are mm from the middle of the skull: x from front to back, y from left to right,
z upwards. One smooth, exactly invertible map (bend, arc, linear map, shift) takes them to mm from
the volume's centre; it moves structures and landmarks alike, so landmarks are exact. A bend moves
landmarks in proportion to its size, which PCA can represent; an arc does not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation

LANDMARK_NAMES = (
    "centerHead",
    "frontHead",
    "backHead",
    "rightHead",
    "leftHead",
    "rightVentInner",
    "rightVentOuter",
    "rightCerebellar",
    "leftCerebellar",
    "CSP",
)
SKULL_MM = np.array([41.0, 32.0, 29.0])  # half axes
# Middle and pitch of the average head, from the mean positions of real heads.
MIDDLE_MM = np.array([1.0, 3.2, 2.0])
PITCH = -0.1
# Spread of pose and size: the modes of 200 heads vary at least as much as those of real ones.
ROTATION_SD = np.array([0.21, 0.165, 0.16])  # radians about x, y, z
SHIFT_SD = np.array([5.2, 4.6, 4.6])
SIZE_SD, ASPECT_SD = 0.06, 0.03
BEND_SD = 2.0  # mm at the front and back of the skull
# Largest SD of the angle of an arc; above 70, some skulls would fold.
MOST_DEGREES = 60.0


@dataclass(frozen=True)
class Head:
    """One head: its structures and its map to the volume.

    Attributes:
        linear: Linear part of the map from bent head coordinates to mm from the volume's centre.
        shift: Shift of that map, mm.
        bend: Sideways and upward bend of the long axis, mm at the ends of the skull.
        curvature: Curvature of the upward arc of the long axis, 1/mm; 0 is straight.
        csp: Middle of the cavum septum pellucidum, head coordinates.
        ventricle: Middle of the right lateral ventricle at its widest place.
        ventricle_half_width: Half of the distance between its inner and outer wall there.
        cerebellum: Middle between the two cerebellar lobes.
        lobe_mm: Half axes of a lobe; the lobes touch in the midline.
    """

    linear: Float64[np.ndarray, "3 3"]
    shift: Float64[np.ndarray, " 3"]
    bend: Float64[np.ndarray, " 2"]
    curvature: float
    csp: Float64[np.ndarray, " 3"]
    ventricle: Float64[np.ndarray, " 3"]
    ventricle_half_width: float
    cerebellum: Float64[np.ndarray, " 3"]
    lobe_mm: Float64[np.ndarray, " 3"]


def draw_head(rng: np.random.Generator, bend_degrees: float = 0.0) -> Head:
    """Draw a head whose pose, size, bend and structures vary like those of real fetal heads.

    Args:
        rng: Generator; in the same state it draws the same head for any `bend_degrees`, apart from
            the arc.
        bend_degrees: SD of the angle of the arc along the skull, drawn within 2 SD; 0 for real
            heads.
    """
    rotation = Rotation.from_rotvec(ROTATION_SD * rng.normal(size=3) + [0.0, PITCH, 0.0])
    size = np.exp(SIZE_SD * rng.normal() + ASPECT_SD * rng.normal(size=3))
    return Head(
        linear=rotation.as_matrix() * size,
        shift=MIDDLE_MM + SHIFT_SD * rng.normal(size=3),
        bend=BEND_SD * rng.normal(size=2),
        csp=np.array([-15.0, 0.0, -1.0]) + np.array([3.1, 1.3, 2.7]) * rng.normal(size=3),
        ventricle=np.array([12.0, 13.0, 2.0]) + np.array([3.4, 1.6, 2.7]) * rng.normal(size=3),
        ventricle_half_width=float(np.clip(4.0 + 0.9 * rng.normal(), 2.0, 6.0)),
        cerebellum=np.array([19.0, 0.0, -13.0]) + np.array([3.1, 1.3, 2.7]) * rng.normal(size=3),
        lobe_mm=np.array([6.5, 4.2, 5.5]) * np.exp(0.1 * rng.normal(size=3)),
        # Drawn last, so that the other draws do not depend on it.
        curvature=np.deg2rad(bend_degrees * np.clip(rng.normal(), -2, 2)) / (2 * SKULL_MM[0]),
    )


def landmarks_in_head(head: Head) -> Float64[np.ndarray, "10 3"]:
    """Landmarks of the paper in head coordinates, in the order of `LANDMARK_NAMES`."""
    front, right = SKULL_MM * [1, 0, 0], SKULL_MM * [0, 1, 0]
    wall = np.array([0.0, head.ventricle_half_width, 0.0])
    rim = 2 * head.lobe_mm * [0, 1, 0]
    return np.array(
        [
            *(np.zeros(3), -front, front, right, -right),
            *(head.ventricle - wall, head.ventricle + wall),
            *(head.cerebellum + rim, head.cerebellum - rim, head.csp),
        ]
    )


def to_volume(head: Head, points: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 3"]:
    """Convert head coordinates to mm from the volume's centre."""
    bent = points.copy()
    bent[..., 1:] += head.bend * (points[..., :1] / SKULL_MM[0]) ** 2
    bent[..., 0], bent[..., 2] = _to_arc(head.curvature, bent[..., 0], bent[..., 2])
    return bent @ head.linear.T + head.shift


def to_head(
    head: Head,
    x: Float[np.ndarray, "*#n"],
    y: Float[np.ndarray, "*#n"],
    z: Float[np.ndarray, "*#n"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convert mm from the volume's centre to head coordinates: the exact inverse of `to_volume`."""
    inverse = np.linalg.inv(head.linear).astype(x.dtype)
    x, y, z = (axis - x.dtype.type(by) for axis, by in zip((x, y, z), head.shift, strict=True))
    u, v, w = (row[0] * x + row[1] * y + row[2] * z for row in inverse)
    u, w = _from_arc(head.curvature, u, w)
    squared = (u / u.dtype.type(SKULL_MM[0])) ** 2
    return u, v - squared * u.dtype.type(head.bend[0]), w - squared * u.dtype.type(head.bend[1])


def _to_arc(
    curvature: float, u: Float[np.ndarray, "*n"], w: Float[np.ndarray, "*n"]
) -> tuple[np.ndarray, np.ndarray]:
    """Bend the long axis onto a circle that touches it at the back of the skull.

    Lengths along the axis are kept; planes across it stay planes, through the circle's centre.
    """
    if curvature == 0:
        return u, w
    back, radius = SKULL_MM[0], 1 / curvature - w
    angle = curvature * (u - back)
    return back + radius * np.sin(angle), w + 2 * radius * np.sin(angle / 2) ** 2


def _from_arc(
    curvature: float, x: Float[np.ndarray, "*n"], z: Float[np.ndarray, "*n"]
) -> tuple[np.ndarray, np.ndarray]:
    """Exact inverse of `_to_arc`, except at the circle's centre."""
    if curvature == 0:
        return x, z
    curvature, back = x.dtype.type(curvature), x.dtype.type(SKULL_MM[0])
    across, up = curvature * (x - back), 1 - curvature * z
    # (1 - hypot) / curvature, rearranged against cancellation.
    w = (2 * z - curvature * ((x - back) ** 2 + z**2)) / (1 + np.hypot(across, up))
    return back + np.arctan2(across, up) / curvature, w


def skull_distance(u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """First-order signed distance from the middle of the skull bone in mm; negative inside."""
    return _ellipsoid(u, v, w, SKULL_MM)


def echo(
    head: Head, u: Float[np.ndarray, "*n"], v: Float[np.ndarray, "*n"], w: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Noise-free echo at points in head coordinates: 0 is fluid, 1 is bone."""
    depth = skull_distance(u, v, w)
    inside = _step(-depth - 1.5, 0.6)
    value = 0.05 + 0.11 * inside
    falx = _peak(v, 0.9) * _step(w + 6.0, 1.5) * _step(34.0 - np.abs(u), 2.0)
    value = np.maximum(value, 0.5 * falx * inside)
    for side in (1.0, -1.0):
        value = _cavity(value, _ventricle_distance(head, u, side * v, w), 0.02, 0.45)
        lobe = head.cerebellum + side * head.lobe_mm * [0, 1, 0]
        middle = _ellipsoid(u - lobe[0], v - lobe[1], w - lobe[2], head.lobe_mm)
        value = _cavity(value, middle, 0.05, 0.4)
    return _cavity(value, _csp_distance(head, u, v, w), 0.01, 0.5)


def _csp_distance(head: Head, u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Distance from the wall of a small oblong box."""
    box = zip((u, v, w), head.csp, (5.5, 2.6, 3.6), strict=True)
    sides = [np.abs(axis - at) - half for axis, at, half in box]
    return np.maximum(np.maximum(sides[0], sides[1]), sides[2])


def _ventricle_distance(head: Head, u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Distance from the wall of a tube along the head, widest at the landmarks."""
    middle, half = head.ventricle, head.ventricle_half_width
    return _ellipsoid(u - middle[0], v - middle[1], w - middle[2], np.array([17.0, half, 6.5]))


def _cavity(value: np.ndarray, distance: np.ndarray, fluid: float, wall: float) -> np.ndarray:
    """Draw a dark cavity with a bright wall over the echo."""
    within = _step(-distance, 0.4)
    return np.maximum(value * (1 - within) + fluid * within, wall * _peak(distance, 0.8))


def _ellipsoid(u: np.ndarray, v: np.ndarray, w: np.ndarray, half: np.ndarray) -> np.ndarray:
    a, b, c = half.astype(u.dtype)
    radius = np.sqrt((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2)
    slope = np.sqrt((u / a**2) ** 2 + (v / b**2) ** 2 + (w / c**2) ** 2)
    # Radius and slope vanish at the middle, where the distance is the shortest half axis.
    return (radius - 1) * np.maximum(radius, 1e-3) / np.maximum(slope, 1e-3 / half.max())


def _peak(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((distance / distance.dtype.type(width)) ** 2))


def _step(distance: np.ndarray, width: float) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(distance / distance.dtype.type(width))

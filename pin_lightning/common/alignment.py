"""Rigid and similarity alignment of landmark shapes: poses, Procrustes analysis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Num

MOST_ITERATIONS = 100  # of the Procrustes analysis; it converges in about ten
TOLERANCE = 1e-9  # of its mean shape, relative to its size
MOST_REWEIGHTED, SETTLED = 30, 1e-2  # of a robust fit: iterations, share of the usual distance
UNDETERMINED = 1e-10  # weight of no rotation at all, relative to the size


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a shape lies: the similarity ``x -> scale * rotation @ x + shift_mm``.

    Attributes:
        rotation: Rotation matrix [3, 3]; with determinant -1, a mirror image.
        shift_mm: Shift [3].
        scale: Size relative to the shape that is placed; 1 for a rigid pose.
    """

    rotation: Float64[np.ndarray, "3 3"]
    shift_mm: Float64[np.ndarray, " 3"]
    scale: float = 1.0

    @property
    def matrix(self) -> Float64[np.ndarray, "4 4"]:
        """The pose as a homogeneous matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * self.rotation
        matrix[:3, 3] = self.shift_mm
        return matrix

    def place(self, points_mm: Num[np.ndarray, "*rest 3"]) -> Float64[np.ndarray, "*rest 3"]:
        """Place points of the shape.

        >>> quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> Pose(quarter_turn, np.array([0.0, 0.0, 5.0])).place(np.array([1.0, 0.0, 0.0]))
        array([0., 1., 5.])
        """
        return self.scale * np.asarray(points_mm) @ self.rotation.T + self.shift_mm

    def inverse(self) -> "Pose":
        """The pose that undoes this one."""
        rotation, scale = self.rotation.T, 1 / self.scale
        return Pose(rotation, -scale * rotation @ self.shift_mm, scale)

    def after(self, first: "Pose") -> "Pose":
        """The pose that places as `first` and then this one."""
        rotation = self.rotation @ first.rotation
        return Pose(rotation, self.place(first.shift_mm), self.scale * first.scale)


def rotation_degrees(one: Float64[np.ndarray, "3 3"], other: Float64[np.ndarray, "3 3"]) -> float:
    """Angle of the rotation between two orientations.

    >>> round(rotation_degrees(np.eye(3), np.diag([-1.0, -1.0, 1.0])))
    180
    """
    # By the chord: the arc cosine of the trace is inexact for small angles.
    half_chord = np.linalg.norm(one - other) / np.sqrt(8)
    return float(np.degrees(2 * np.arcsin(min(half_chord, 1.0))))


def nearest_rotation(matrix: Num[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    """Rotation closest to a matrix, such as a mean of rotations."""
    left, _, right = np.linalg.svd(matrix)
    return left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right


def fit_pose(
    shape_mm: Num[np.ndarray, "L 3"],
    placed_mm: Num[np.ndarray, "L 3"],
    weights: Num[np.ndarray, " L"] | None = None,
    with_scale: bool = False,
    mirrored: bool = False,
) -> Pose:
    """Fit the pose that places a shape with the least sum of weighted squared distances.

    The rotation is that of Kabsch (Acta Cryst. A, 1976), the scale that of Umeyama (PAMI 1991).
    Where landmarks leave it open (one, two, or all on a line), it is the smallest one.

    Args:
        shape_mm: The shape.
        placed_mm: Its landmarks where they lie; NaN, in either, where one is missing.
        weights: Weights of the landmarks, 0 or more; by default all count alike.
        with_scale: Fit a scale, too.
        mirrored: Fit the best mirror image instead: the rotation has determinant -1.

    Raises:
        ValueError: No landmark with a weight has a position in both.
    """
    weight = np.ones(len(shape_mm)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = np.isfinite(shape_mm).all(axis=1) & np.isfinite(placed_mm).all(axis=1) & (weight > 0)
    if not known.any():
        raise ValueError("pose: the shapes have no landmark in common")
    share = weight[known] / weight[known].sum()
    source, target = (np.asarray(one, dtype=np.float64)[known] for one in (shape_mm, placed_mm))
    centre, centre_placed = share @ source, share @ target
    source, target = source - centre, target - centre_placed
    covariance = (share[:, None] * source).T @ target
    # Without the small diagonal an undetermined rotation would be any.
    covariance += UNDETERMINED * np.linalg.norm(covariance) * np.eye(3)
    left, values, right = np.linalg.svd(covariance)
    signs = np.ones(3)
    signs[2] = np.linalg.det(left @ right) * (-1 if mirrored else 1)
    signs[2] = 1.0 if signs[2] > 0 else -1.0
    rotation = (right.T * signs) @ left.T
    size = float(share @ (source**2).sum(axis=1))
    scale = float(values @ signs) / size if with_scale and size > 0 else 1.0
    return Pose(rotation, centre_placed - scale * rotation @ centre, scale)


def fit_pose_robustly(
    shape_mm: Num[np.ndarray, "L 3"],
    placed_mm: Num[np.ndarray, "L 3"],
    with_scale: bool = False,
    mirrored: bool = False,
    near_mm: float = 0.0,
    start: Pose | None = None,
) -> Pose:
    """Fit a pose that a few landmarks out of place do not skew.

    Iteratively reweighted least squares, with Cauchy's weights
    ``1 / (1 + (d / c)^2)`` for landmarks at a distance d, and c their median distance.

    Args:
        shape_mm: The shape.
        placed_mm: Its landmarks where they lie; NaN, in either, where one is missing.
        with_scale: Fit a scale, too.
        mirrored: Fit the best mirror image instead.
        near_mm: Distance up to which landmarks count fully: the least value of c.
        start: A first pose; by default that of `fit_pose`, which many or far-off landmarks skew.

    Raises:
        ValueError: The shapes have no landmark in common.
    """
    pose = start or fit_pose(shape_mm, placed_mm, None, with_scale, mirrored)
    known = np.isfinite(shape_mm).all(axis=1) & np.isfinite(placed_mm).all(axis=1)
    source, target = shape_mm[known], placed_mm[known]
    tiny_mm = max(TOLERANCE * float(np.abs(target - pose.shift_mm).max()), 1e-300)
    before_mm = pose.place(source)
    for _ in range(MOST_REWEIGHTED):
        distances_mm = np.linalg.norm(before_mm - target, axis=1)
        usual_mm = max(float(np.median(distances_mm)), near_mm, tiny_mm)
        weights = 1 / (1 + (distances_mm / usual_mm) ** 2)
        pose = fit_pose(source, target, weights, with_scale, mirrored)
        after_mm = pose.place(source)
        if np.abs(after_mm - before_mm).max() <= SETTLED * usual_mm:
            break
        before_mm = after_mm
    return pose


def align_shapes(
    shapes_mm: Num[np.ndarray, "M L 3"], with_scale: bool = False
) -> tuple[Float64[np.ndarray, "L 3"], list[Pose]]:
    """Generalised Procrustes analysis: the mean shape, and the pose of each shape.

    Shapes are placed on the mean in turn, until it no longer moves (Gower, Psychometrika 1975).
    The mean is centred, in the orientation of the shape with the most landmarks.

    Args:
        shapes_mm: Shapes, NaN where a landmark is missing; no shape without any landmark.
        with_scale: Shapes may differ in size, too; the mean has their mean (geometric) size.

    Returns:
        The mean [L, 3], NaN for a landmark that no shape has, and for each shape the pose that
        places the mean on it.

    Raises:
        ValueError: Two shapes that have to be compared have no landmark in common.
    """
    shapes = np.asarray(shapes_mm, dtype=np.float64)
    mean = shapes[np.isfinite(shapes).all(axis=2).sum(axis=1).argmax()]
    mean = mean - np.nanmean(mean, axis=0)
    for _ in range(MOST_ITERATIONS):
        onto_mean = [fit_pose(shape, mean, with_scale=with_scale) for shape in shapes]
        onto_mean = _of_unit_scale(onto_mean)
        aligned = [pose.place(one) for pose, one in zip(onto_mean, shapes, strict=True)]
        before, mean = mean, _mean(np.stack(aligned))
        mean = mean - np.nanmean(mean, axis=0)
        # The orientation is that of the first mean: it must not drift.
        mean = fit_pose(mean, before).place(mean)
        if np.nanmax(np.abs(mean - before)) <= TOLERANCE * np.nanmax(np.abs(mean)):
            break
    return mean, [fit_pose(mean, shape, with_scale=with_scale) for shape in shapes]


def _of_unit_scale(poses: Sequence[Pose]) -> list[Pose]:
    """The poses with the geometric mean of their scales divided out, or the mean would shrink."""
    usual = float(np.exp(np.mean([np.log(pose.scale) for pose in poses])))
    return [Pose(one.rotation, one.shift_mm / usual, one.scale / usual) for one in poses]


def _mean(shapes_mm: Float64[np.ndarray, "M L 3"]) -> Float64[np.ndarray, "L 3"]:
    """Mean without NaN, and NaN (without a warning) where all are NaN."""
    count = np.isfinite(shapes_mm).sum(axis=0)
    total = np.nansum(shapes_mm, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)

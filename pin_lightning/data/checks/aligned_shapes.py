"""Robust alignment of the shapes of all cases: their form without position, turn, size and side.

The frame is that of the most central case. The reference of a case is the median of the other
cases in it, so that a few wrong cases, or wrong landmarks of a case, skew no alignment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int

from pin_lightning.common.alignment import Pose, fit_pose, fit_pose_robustly
from pin_lightning.data.checks.robust_statistics import median_known, others_median

Shapes: TypeAlias = Float64[np.ndarray, "M L 3"]

MOST_ROUNDS, MOVED = 5, 5e-3  # of the alignment; until this share of the size
MOST_CENTRAL, MOST_COMPARED = 15, 40  # cases that may become the first reference; compared with it
FEWEST_FOR_SIDE = 4  # landmarks; three are congruent with their mirror image
BETTER = 1.5  # how many times as well a mirror image has to fit
CLOSE_DEGREES, SHARE_CLOSE = 45, 2 / 3  # of the scans that are in line with each other
BLOCK = 500  # scans compared with all others at a time
FAR, DRAWN, DRAWS = 4, 4, 60  # typical distances; landmarks of a start, and starts
MIRROR = Pose(np.diag([-1.0, 1.0, 1.0]), np.zeros(3))


@dataclass(frozen=True, eq=False)
class AlignedShapes:
    """Shapes of all cases in one frame, in mm of the typical size.

    Attributes:
        shapes_mm: Shapes [M, L, 3], placed on their references by similarities; NaN for a case
            that has no landmark in common with the others.
        reference_mm: For each case, the median [L, 3] of the other cases.
        poses: Similarity that placed each case; None where there is none.
        own_mm: Mean distance of the landmarks of each case from the reference.
        mirrored_mm: The same for the best mirror image of the case; NaN where that is no matter.
        mirrored: Cases that fit clearly better as mirror images, and were placed as such.
    """

    shapes_mm: Shapes
    reference_mm: Shapes
    poses: tuple[Pose | None, ...]
    own_mm: Float64[np.ndarray, " M"]
    mirrored_mm: Float64[np.ndarray, " M"]
    mirrored: Bool[np.ndarray, " M"]

    @cached_property
    def in_line(self) -> Float64[np.ndarray, "3 3"] | None:
        """The common orientation of the scans, if they agree about it: of most, within 45 degrees.

        It turns a scan into the frame of the reference.
        """
        placed = np.array([pose.rotation for pose in self.poses if pose]).reshape(-1, 3, 3)
        turns = placed[np.linalg.det(placed) > 0]
        if not len(turns):
            return None
        close = _number_close(turns)
        central = int(close.argmax())
        return turns[central] if close[central] >= SHARE_CLOSE * len(placed) else None


def _number_close(turns: Float64[np.ndarray, "M 3 3"]) -> Int[np.ndarray, " M"]:
    """How many turns are close to each, itself among them, by the trace; in blocks of memory."""
    flat, limit = turns.reshape(-1, 9), 1 + 2 * np.cos(np.radians(CLOSE_DEGREES))
    blocks = range(0, len(flat), BLOCK)
    return np.concatenate([(flat[i : i + BLOCK] @ flat.T >= limit).sum(axis=1) for i in blocks])


def align(shapes_mm: Shapes) -> AlignedShapes:
    """Align shapes of any position, orientation, size and side.

    Args:
        shapes_mm: Shapes in any frame each, NaN where a landmark is missing.
    """
    central = _most_central(shapes_mm)
    reference = shapes_mm[central] - median_known(shapes_mm[central])
    near_mm, sides = 0.0, np.zeros(len(shapes_mm), bool)
    for _ in range(MOST_ROUNDS):
        references = np.broadcast_to(reference, shapes_mm.shape)
        fits, own_mm, mirrored_mm = _fits(shapes_mm, references, near_mm)
        sides = mirrored_mm * BETTER < own_mm
        poses = _chosen(fits, sides)
        aligned = _placed(shapes_mm, poses)
        before, reference = reference, median_known(aligned)
        near_mm = _median(np.linalg.norm(aligned - reference, axis=2))
        moved = np.abs(reference - before)
        if np.array_equal(np.isfinite(reference), np.isfinite(before)) and (
            _largest(moved) <= MOVED * _largest(np.abs(reference))
        ):
            break
    if sides.sum() > (~sides).sum():  # the side of most cases is the right one
        aligned = MIRROR.place(aligned)
    factor = _typical_factor(poses)
    return _on_others(shapes_mm, others_median(aligned * factor), near_mm * factor)


def _on_others(shapes_mm: Shapes, references: Shapes, near_mm: float) -> AlignedShapes:
    fits, own_mm, mirrored_mm = _fits(shapes_mm, references, near_mm)
    sides = mirrored_mm * BETTER < own_mm
    poses = _chosen(fits, sides)
    aligned = _placed(shapes_mm, poses)
    return AlignedShapes(aligned, references, tuple(poses), own_mm, mirrored_mm, sides)


def mean_distance_mm(
    points_mm: Float64[np.ndarray, "L 3"], reference_mm: Float64[np.ndarray, "L 3"]
) -> float:
    """Mean distance of the landmarks that both have; NaN if there is none."""
    distances = np.linalg.norm(points_mm - reference_mm, axis=1)
    known = distances[np.isfinite(distances)]
    return float(known.mean()) if len(known) else np.nan


Fits: TypeAlias = list[tuple[Pose | None, Pose | None]]


def _fits(
    shapes_mm: Shapes, references: Shapes, near_mm: float
) -> tuple[Fits, Float64[np.ndarray, " M"], Float64[np.ndarray, " M"]]:
    """Poses as they are and mirrored, and the mean distances after each.

    Mirror images are fitted only where they can be as much better as it takes: by the triangle
    inequality their distance is at least the sidedness of the reference less that of the case.
    """
    poses = [fit_onto(*pair, near_mm) for pair in zip(shapes_mm, references, strict=True)]
    own_mm = _distances_mm(poses, shapes_mm, references)
    sided_mm = np.array([_sidedness_mm(one) for one in references])
    mirrors: list[Pose | None] = [None] * len(poses)
    for index in np.flatnonzero(own_mm > sided_mm / (1 + 1 / BETTER)):
        mirrors[index] = fit_onto(shapes_mm[index], references[index], near_mm, mirrored=True)
    mirrored_mm = _distances_mm(mirrors, shapes_mm, references)
    # Where even the references are nearly their own mirror images, the side means nothing.
    best_mm = np.fmin(own_mm, mirrored_mm)
    mirrored_mm[sided_mm <= BETTER * _lower_quartile(best_mm)] = np.nan
    return list(zip(poses, mirrors, strict=True)), own_mm, mirrored_mm


def fit_onto(
    shape_mm: Float64[np.ndarray, "L 3"],
    reference_mm: Float64[np.ndarray, "L 3"],
    near_mm: float,
    mirrored: bool = False,
) -> Pose | None:
    """Similarity that places a shape on its reference; None without enough common landmarks.

    Where most landmarks stay farther than a few times `near_mm`, many may be out of place: fits
    to few landmarks, drawn at random, are tried as starts (Fischler and Bolles, CACM 1981).
    """
    known = np.flatnonzero(np.isfinite(shape_mm - reference_mm).all(axis=1))
    if len(known) < (FEWEST_FOR_SIDE if mirrored else 1):
        return None
    source, target = shape_mm[known], reference_mm[known]
    pose = fit_pose_robustly(source, target, True, mirrored, near_mm)
    least_mm = _median_distance_mm(pose, source, target)
    if least_mm <= FAR * near_mm or near_mm == 0 or len(known) <= DRAWN:
        return pose
    random, start = np.random.default_rng(0), None
    for _ in range(DRAWS):
        few = random.choice(len(known), DRAWN, replace=False)
        other = fit_pose(source[few], target[few], None, True, mirrored)
        distance_mm = _median_distance_mm(other, source, target)
        if distance_mm < least_mm:
            start, least_mm = other, distance_mm
    return fit_pose_robustly(source, target, True, mirrored, near_mm, start) if start else pose


def _median_distance_mm(pose: Pose, source: np.ndarray, target: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(pose.place(source) - target, axis=1)))


def _distances_mm(
    poses: Sequence[Pose | None], shapes_mm: Shapes, references: Shapes
) -> Float64[np.ndarray, " M"]:
    placed = _placed(shapes_mm, poses)
    return np.array([mean_distance_mm(*pair) for pair in zip(placed, references, strict=True)])


def _chosen(fits: Fits, sides: Bool[np.ndarray, " M"]) -> list[Pose | None]:
    return [both[int(side)] for both, side in zip(fits, sides, strict=True)]


def _placed(shapes_mm: Shapes, poses: Sequence[Pose | None]) -> Shapes:
    placed = np.full(shapes_mm.shape, np.nan)
    for index, pose in enumerate(poses):
        if pose is not None:
            placed[index] = pose.place(shapes_mm[index])
    return placed


def _typical_factor(poses: Sequence[Pose | None]) -> float:
    """What brings shapes of the reference's size to the typical size of the cases."""
    scales = [pose.scale for pose in poses if pose is not None]
    return float(1 / np.median(scales)) if scales else 1.0


def _sidedness_mm(reference_mm: Float64[np.ndarray, "L 3"]) -> float:
    """Mean distance of a shape from its own best mirror image; 0 for a planar one."""
    if not np.isfinite(reference_mm).all(axis=1).any():
        return 0.0
    pose = fit_pose(reference_mm, reference_mm, mirrored=True)
    return mean_distance_mm(pose.place(reference_mm), reference_mm)


def _most_central(shapes_mm: Shapes) -> int:
    """The case with the smallest median distance to others, by least squares from any side."""
    known = np.isfinite(shapes_mm).all(axis=2).sum(axis=1)
    fullest = np.argsort(-known, kind="stable")
    candidates, compared = fullest[:MOST_CENTRAL], fullest[:MOST_COMPARED]
    medians = []
    for index in candidates:
        size_mm = _largest(np.abs(shapes_mm[index] - median_known(shapes_mm[index])))
        apart = [_apart_mm(shapes_mm[i], shapes_mm[index]) for i in compared if i != index]
        medians.append(_median(np.array(apart)) / size_mm if size_mm > 0 and apart else np.inf)
    return int(candidates[int(np.nan_to_num(medians, nan=np.inf).argmin())])


def _apart_mm(shape_mm: Float64[np.ndarray, "L 3"], other_mm: Float64[np.ndarray, "L 3"]) -> float:
    common = int((np.isfinite(shape_mm) & np.isfinite(other_mm)).all(axis=1).sum())
    if common == 0:
        return np.nan
    sides = (False, True) if common >= FEWEST_FOR_SIDE else (False,)
    fits = [fit_pose(shape_mm, other_mm, None, True, side) for side in sides]
    return min(mean_distance_mm(pose.place(shape_mm), other_mm) for pose in fits)


def _median(values: Float64[np.ndarray, "..."]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def _lower_quartile(values: Float64[np.ndarray, " M"]) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, 0.25)) if len(known) else 0.0


def _largest(values: Float64[np.ndarray, "..."]) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else 0.0

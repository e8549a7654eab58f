"""Exchanged names: detection of landmarks that lie at the places of others."""

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pin_lightning.common.alignment import Pose, fit_pose

TYPICAL_DISTANCES = 3  # gain that an exchange must exceed
SYMMETRIC = 0.25  # largest error of a mirror image, as a share of the distance between the sides
MOST_PAIRS = 0.75  # of the exchanged ones
MOST_ASSIGNED = 20  # iterations of a fit without names


def exchanged(
    points_mm: Float64[np.ndarray, "L 3"],
    reference_mm: Float64[np.ndarray, "L 3"],
    typical_mm: float,
) -> list[list[int]]:
    """Find cycles of landmarks, each of which lies at the place of the next.

    Points are assigned to reference positions with the smallest sum of distances (Hungarian
    algorithm). A bonus for keeping its own position prevents exchanges of near neighbours by noise.

    Args:
        points_mm: Landmarks of one case.
        reference_mm: Their positions in other cases.
        typical_mm: Typical distance of a landmark from its reference.

    Returns:
        The cycles that reduce the distances by more than three typical ones and by more than half.
    """
    distances = cdist(points_mm, reference_mm)
    keeping = TYPICAL_DISTANCES / 2 * typical_mm * np.eye(len(distances))
    places = linear_sum_assignment(distances - keeping)[1]
    found = []
    for cycle in cycles_of(places.tolist()):
        before, after = distances[cycle, cycle].sum(), distances[cycle, places[cycle]].sum()
        if before - after > max(TYPICAL_DISTANCES * typical_mm, before / 2):
            found.append(cycle)
    return found


def is_left_right(
    cycles: Sequence[Sequence[int]], reference_mm: Float64[np.ndarray, "L 3"], typical_mm: float
) -> bool:
    """True if most exchanged pairs mirror each other at one plane, and at least half of all do.

    Args:
        cycles: Result of `exchanged`.
        reference_mm: Positions in other cases.
        typical_mm: Typical distance of a landmark from its reference.
    """
    pairs = np.array([cycle for cycle in cycles if len(cycle) == 2])
    if len(pairs) < 2:
        return False
    across = reference_mm[pairs[:, 0]] - reference_mm[pairs[:, 1]]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    normal = (across * np.sign(across @ across[0])[:, None]).mean(axis=0)
    normal /= np.linalg.norm(normal)
    from_plane = (reference_mm - reference_mm[pairs].mean(axis=(0, 1))) @ normal
    mirrored = reference_mm - 2 * np.outer(from_plane, normal)
    mates = linear_sum_assignment(cdist(mirrored, reference_mm))[1]
    apart = np.linalg.norm(reference_mm - reference_mm[mates], axis=1)
    off = np.linalg.norm(mirrored - reference_mm[mates], axis=1)
    mirrors = (mates[mates] == np.arange(len(mates))) & (off < SYMMETRIC * apart)
    possible = int((mirrors & (apart > TYPICAL_DISTANCES * typical_mm)).sum()) // 2
    mirroring = int((mirrors[pairs[:, 0]] & (mates[pairs[:, 0]] == pairs[:, 1])).sum())
    return mirroring >= MOST_PAIRS * len(pairs) and mirroring >= possible / 2


def renamed(
    points_mm: Float64[np.ndarray, "L 3"], cycles: Sequence[Sequence[int]]
) -> Float64[np.ndarray, "L 3"]:
    """The landmarks with their names put right: each gets that of the next in its cycle."""
    corrected = points_mm.copy()
    for cycle in cycles:
        corrected[[*cycle[1:], cycle[0]]] = points_mm[list(cycle)]
    return corrected


def fit_without_names(
    points_mm: Float64[np.ndarray, "L 3"], reference_mm: Float64[np.ndarray, "L 3"]
) -> Pose:
    """Fit the similarity (no mirror image) after which points lie nearest to any places.

    Iterative closest points with one place for each point (Besl and McKay, PAMI 1992), from the 24
    proper rotations that put principal axes onto principal axes.

    Args:
        points_mm: Landmarks of one case.
        reference_mm: As many places, in any order.
    """
    centre, centre_reference = points_mm.mean(axis=0), reference_mm.mean(axis=0)
    source, target = points_mm - centre, reference_mm - centre_reference
    scale = float(np.linalg.norm(target) / max(np.linalg.norm(source), np.finfo(float).tiny))
    axes, axes_reference = (np.linalg.svd(one, full_matrices=True)[2] for one in (source, target))
    best, least_mm = Pose(np.eye(3), centre_reference - centre), np.inf
    for order, signs in product(permutations(range(3)), product((-1.0, 1.0), repeat=3)):
        rotation = axes_reference.T @ (np.array(signs)[:, None] * axes[list(order)])
        if np.linalg.det(rotation) > 0:
            start = Pose(rotation, centre_reference - scale * rotation @ centre, scale)
            pose, apart_mm = _closest(points_mm, reference_mm, start)
            if apart_mm < least_mm:
                best, least_mm = pose, apart_mm
    return best


def _closest(
    points_mm: Float64[np.ndarray, "L 3"], reference_mm: Float64[np.ndarray, "L 3"], pose: Pose
) -> tuple[Pose, float]:
    """Assign and fit in turn until the assignment stays: the pose, and the mean distance."""
    before = np.arange(0)
    for _ in range(MOST_ASSIGNED):
        distances = cdist(pose.place(points_mm), reference_mm)
        places = linear_sum_assignment(distances)[1]
        if np.array_equal(places, before):
            break
        before, pose = places, fit_pose(points_mm, reference_mm[places], with_scale=True)
    return pose, float(distances[np.arange(len(places)), places].mean())


def cycles_of(places: Sequence[int]) -> list[list[int]]:
    """Cycles of a permutation, without fixed points.

    >>> cycles_of([0, 2, 1, 4, 5, 3])
    [[1, 2], [3, 4, 5]]
    """
    cycles: list[list[int]] = []
    seen: set[int] = set()
    for start in range(len(places)):
        cycle, point = [], start
        while point not in seen:
            seen.add(point)
            cycle.append(point)
            point = places[point]
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles

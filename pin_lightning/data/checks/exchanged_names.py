"""Exchanged names: which landmarks of a shape stand where another one should be."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

TYPICAL_DISTANCES = 3  # an exchange has to bring points nearer by more than this
SYMMETRIC = 0.25  # mirror images are nearer than this share of the distance between the sides
MOST_PAIRS = 0.75  # of the exchanged ones


def exchanged(
    points_mm: Float64[np.ndarray, "L 3"],
    reference_mm: Float64[np.ndarray, "L 3"],
    typical_mm: float,
) -> list[list[int]]:
    """Cycles of landmarks, each of which stands where the next one should.

    Every point is given to the reference position that makes the sum of distances smallest
    (Hungarian algorithm). Keeping its own position is made cheaper, or near neighbours would be
    exchanged at random.

    Args:
        points_mm: Landmarks of one case.
        reference_mm: Where they are in other cases.
        typical_mm: How far a landmark usually is from its reference.

    Returns:
        Those cycles that bring the points nearer by more than three times what is typical, and by
        more than half.
    """
    distances = cdist(points_mm, reference_mm)
    keeping = TYPICAL_DISTANCES / 2 * typical_mm * np.eye(len(distances))
    places = linear_sum_assignment(distances - keeping)[1]
    found = []
    for cycle in _cycles(places.tolist()):
        before, after = distances[cycle, cycle].sum(), distances[cycle, places[cycle]].sum()
        if before - after > max(TYPICAL_DISTANCES * typical_mm, before / 2):
            found.append(cycle)
    return found


def is_left_right(
    cycles: Sequence[Sequence[int]], reference_mm: Float64[np.ndarray, "L 3"], typical_mm: float
) -> bool:
    """Whether the exchanged pairs lie across one mirror plane and are most of those that do.

    Args:
        cycles: From `exchanged`.
        reference_mm: Where the landmarks are in other cases.
        typical_mm: How far a landmark usually is from its reference.
    """
    pairs = np.array([cycle for cycle in cycles if len(cycle) == 2])
    if len(pairs) < 2:
        return False
    across = reference_mm[pairs[:, 0]] - reference_mm[pairs[:, 1]]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    normal = (across * np.sign(across @ across[0])[:, None]).mean(axis=0)
    normal /= np.linalg.norm(normal)
    mirrored = _mirrored(reference_mm, normal, reference_mm[pairs].mean(axis=(0, 1)))
    mates = linear_sum_assignment(cdist(mirrored, reference_mm))[1]
    apart = np.linalg.norm(reference_mm - reference_mm[mates], axis=1)
    off = np.linalg.norm(mirrored - reference_mm[mates], axis=1)
    mirrors = (mates[mates] == np.arange(len(mates))) & (off < SYMMETRIC * apart)
    possible = int((mirrors & (apart > TYPICAL_DISTANCES * typical_mm)).sum()) // 2
    mirroring = int((mirrors[pairs[:, 0]] & (mates[pairs[:, 0]] == pairs[:, 1])).sum())
    return mirroring >= MOST_PAIRS * len(pairs) and mirroring >= possible / 2


def _cycles(places: Sequence[int]) -> list[list[int]]:
    """Cycles of a permutation, without what stays in place.

    >>> _cycles([0, 2, 1, 4, 5, 3])
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


def _mirrored(
    points: Float64[np.ndarray, "L 3"],
    normal: Float64[np.ndarray, "3"],
    on_plane: Float64[np.ndarray, "3"],
) -> Float64[np.ndarray, "L 3"]:
    return points - 2 * np.outer((points - on_plane) @ normal, normal)

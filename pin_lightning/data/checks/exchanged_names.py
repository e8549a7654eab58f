"""Exchanged names: detection of landmarks that lie at the places of others."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

TYPICAL_DISTANCES = 3  # gain that an exchange must exceed
SYMMETRIC = 0.25  # largest error of a mirror image, as a share of the distance between the sides
MOST_PAIRS = 0.75  # of the exchanged ones


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
    for cycle in _cycles(places.tolist()):
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


def _cycles(places: Sequence[int]) -> list[list[int]]:
    """Cycles of a permutation, without fixed points.

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

"""Exchanged names and exchanged sides: cases whose form is right only when renamed or mirrored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.alignment import Pose, fit_pose_robustly, rotation_degrees
from pin_lightning.data.checks.aligned_shapes import (
    AlignedShapes,
    Shapes,
    fit_onto,
    mean_distance_mm,
)
from pin_lightning.data.checks.cases import Finding, listed
from pin_lightning.data.checks.exchanged_names import (
    exchanged,
    fit_without_names,
    is_left_right,
    renamed,
)
from pin_lightning.data.checks.robust_statistics import usual

FEWEST_WITHOUT_NAMES = 6  # landmarks; fewer fit somehow in some order
SHARE_OF_SIZE = 0.02  # a shape as near as this fits in any case
LEAST_LIMIT = 2  # typical distances
HALF = 0.5  # of the distance, which an explanation has to reach
TURNED_DEGREES = 90  # from scans that are in line with each other
MOST_MIRRORED = 0.25  # share of the cases beyond which the data set has two sides


@dataclass(frozen=True)
class Renaming:
    """Cycles of landmark indices, and the mean distance once names are put right."""

    cycles: list[list[int]]
    apart_mm: float


def swapped(
    shapes_mm: Shapes, cases: Sequence[str], names: Sequence[str], aligned: AlignedShapes
) -> list[Finding]:
    """Find exchanged names within a case, above all left and right, and mirrored cases.

    Shapes are compared after alignment, so that scans in any orientation pass. Names exchanged
    between left and right fit after renaming, mirrored landmarks or scans only in a mirror; where
    both fit, as in symmetric anatomy, names are what is said.

    Returns one error per case; a single warning where many cases are mirrored. Of two cases it
    cannot tell which one is wrong: the finding names both.

    Args:
        shapes_mm: Shapes as they lie.
        cases: Case names.
        names: Landmark names.
        aligned: The same shapes, aligned.
    """
    used = np.flatnonzero(np.isfinite(aligned.own_mm))
    if len(used) < 2:
        return []
    typical_mm = usual(np.linalg.norm(aligned.shapes_mm - aligned.reference_mm, axis=2))[0]
    limit_mm = _limit_mm(aligned)
    found, mirrored = [], list[int]()
    for index in used.tolist():
        renaming = _renaming(shapes_mm[index], aligned, index, typical_mm, limit_mm)
        if renaming.cycles:
            reference = aligned.reference_mm[index]
            known = np.isfinite(shapes_mm[index] - reference).all(axis=1)
            sides = _are_sides(renaming.cycles, reference, known, typical_mm)
            called = [[names[point] for point in cycle] for cycle in renaming.cycles]
            found.append(Finding("error", cases[index], "", exchange_message(called, sides)))
        elif aligned.mirrored[index] and aligned.mirrored_mm[index] <= limit_mm:
            mirrored.append(index)
    found += _mirrored(mirrored, aligned, cases)
    return found if len(used) > 2 else _of_two([cases[index] for index in used.tolist()], found)


def _of_two(both: Sequence[str], found: Sequence[Finding]) -> list[Finding]:
    """One warning about two cases, of which either may be wrong."""
    said = f"one of the two cases {both[0]} and {both[1]} is wrong: "
    return [Finding("warning", "", "", f"{said}{one.message}") for one in found[-1:]]


def exchange_message(cycles: Sequence[Sequence[str]], sides: bool) -> str:
    """What is said of exchanged names.

    >>> exchange_message([["a", "b"]], sides=False)
    'names a and b look swapped; correct the names in the landmark file'
    """
    if sides:
        pairs = ", ".join("<->".join(cycle) for cycle in cycles)
        return f"left and right look swapped (or the image is mirrored): {pairs}; correct the names"
    parts = []
    for cycle in cycles:
        ring = " -> ".join([*cycle, cycle[0]])
        pair = len(cycle) == 2
        parts.append(f"{' and '.join(cycle)} look swapped" if pair else f"{ring} look exchanged")
    return f"names {', '.join(parts)}; correct the names in the landmark file"


def _limit_mm(aligned: AlignedShapes) -> float:
    """Mean distance within which a case is like the others."""
    fitted_mm = np.where(aligned.mirrored, aligned.mirrored_mm, aligned.own_mm)
    spread_mm = aligned.reference_mm - np.nanmedian(aligned.reference_mm, axis=(0, 1))
    size_mm = float(np.nanmedian(np.linalg.norm(spread_mm, axis=2)))
    typical_mm, limit_mm = usual(fitted_mm)
    return max(limit_mm, LEAST_LIMIT * typical_mm, SHARE_OF_SIZE * size_mm)


def _renaming(
    shape_mm: Float64[np.ndarray, "L 3"],
    aligned: AlignedShapes,
    index: int,
    typical_mm: float,
    limit_mm: float,
) -> Renaming:
    """The names that are exchanged, none if it is best as it is or mirrored."""
    reference, own_mm = aligned.reference_mm[index], float(aligned.own_mm[index])
    known = np.flatnonzero(np.isfinite(shape_mm - reference).all(axis=1))
    points, places = shape_mm[known], reference[known]
    pose = fit_onto(points, places, typical_mm)
    if pose is None:
        return Renaming([], np.nan)
    best = _renamed(points, places, pose, typical_mm)
    if best.apart_mm > limit_mm:
        others = [fit_without_names(points, places)] if len(known) >= FEWEST_WITHOUT_NAMES else []
        tried = [_renamed(points, places, other, typical_mm) for other in others]
        fitting = [one for one in tried if one.apart_mm <= min(limit_mm, HALF * own_mm)]
        best = min([*fitting, best], key=lambda one: one.apart_mm)
    elif not best.cycles and aligned.in_line is not None:
        best = _in_line(points, places, pose, aligned.in_line, typical_mm, best)
    if aligned.mirrored[index] and aligned.mirrored_mm[index] * 1.25 < best.apart_mm:
        return Renaming([], own_mm)
    return Renaming([[int(known[one]) for one in cycle] for cycle in best.cycles], best.apart_mm)


def _renamed(
    points_mm: Float64[np.ndarray, "L 3"],
    places_mm: Float64[np.ndarray, "L 3"],
    pose: Pose,
    typical_mm: float,
) -> Renaming:
    cycles = exchanged(pose.place(points_mm), places_mm, typical_mm)
    corrected = renamed(points_mm, cycles)
    pose = fit_pose_robustly(corrected, places_mm, True, near_mm=typical_mm)
    return Renaming(cycles, mean_distance_mm(pose.place(corrected), places_mm))


def _in_line(
    points_mm: Float64[np.ndarray, "L 3"],
    places_mm: Float64[np.ndarray, "L 3"],
    pose: Pose,
    in_line: Float64[np.ndarray, "3 3"],
    typical_mm: float,
    best: Renaming,
) -> Renaming:
    """Exchanges that look like a turn of the scan, where the other scans are in line.

    Exchanging the names of a planar or symmetric shape can leave its form as it is.
    """
    if rotation_degrees(pose.rotation, in_line) < TURNED_DEGREES:
        return best
    upright = Pose(in_line, np.zeros(3), pose.scale).place(points_mm)
    upright += np.median(places_mm, axis=0) - np.median(upright, axis=0)
    cycles = exchanged(upright, places_mm, typical_mm)
    corrected = renamed(points_mm, cycles)
    pose = fit_pose_robustly(corrected, places_mm, True, near_mm=typical_mm)
    apart_mm = mean_distance_mm(pose.place(corrected), places_mm)
    turned = rotation_degrees(pose.rotation, in_line) >= TURNED_DEGREES
    return best if turned or apart_mm > best.apart_mm else Renaming(cycles, apart_mm)


def _are_sides(
    cycles: Sequence[Sequence[int]],
    reference_mm: Float64[np.ndarray, "L 3"],
    known: np.ndarray,
    typical_mm: float,
) -> bool:
    place = np.cumsum(known) - 1  # among the known landmarks
    within = [[int(place[point]) for point in cycle] for cycle in cycles]
    return is_left_right(within, reference_mm[known], typical_mm)


def _mirrored(
    mirrored: Sequence[int], aligned: AlignedShapes, cases: Sequence[str]
) -> list[Finding]:
    """An error for each mirrored case; of many, or of two cases, one warning."""
    count = int(np.isfinite(aligned.own_mm).sum())
    if len(mirrored) > max(1, MOST_MIRRORED * count):
        called = listed([cases[index] for index in mirrored])
        said = (
            f"{len(mirrored)} of {count} cases fit the others only when mirrored: {called}; if "
            f"they show the other side of the body, mirror them or leave them out, else left and "
            f"right are exchanged in their headers or landmarks"
        )
        return [Finding("warning", "", "", said)]
    found = []
    for index in mirrored:
        said = (
            f"fits the other cases only when mirrored: its landmarks lie "
            f"{aligned.own_mm[index]:.3g} mm from theirs as they are, "
            f"{aligned.mirrored_mm[index]:.3g} mm mirrored; left and right are exchanged in the "
            f"file's header or its landmarks: look at both, and correct the one that is wrong"
        )
        found.append(Finding("error", cases[index], "", said))
    return found

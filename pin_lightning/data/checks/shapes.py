"""Shape checks: comparison of each case's landmarks with those of the other cases.

Shapes are in grid millimetres [M, L, 3], one per case, NaN where a landmark is missing. The
reference of a case is the median of the other cases, robust to a few wrong ones. In the arguments,
`cases` and `names` are the names of cases and landmarks.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from pin_lightning.data.checks.cases import CORRECT_FRAME, Finding, robust_sd
from pin_lightning.data.checks.exchanged_names import exchanged, is_left_right
from pin_lightning.data.checks.shape_gaussian import ShapeGaussian, Suspects, suspects

Shapes: TypeAlias = Float64[np.ndarray, "M L 3"]

FEWEST_TO_COMPARE, FEWEST_FOR_NAMES, FEWEST_FOR_SPREAD = 3, 4, 5  # cases with landmarks
ROBUST_SDS = 6  # beyond the median: not by chance even among a thousand cases
NEAR_VOXELS = 3  # usual difference between annotators
DOUBTFUL = 0.5  # share of the limit beyond which a landmark is left out of the fit
MOST_NAMED = 5  # landmarks named per case
MOST_FITS = 40  # with more cases, several are left out at a time


def shape_findings(
    shapes_mm: Shapes,
    flipped_mm: Shapes,
    cases: Sequence[str],
    names: Sequence[str],
    spacing_mm: float,
    known_errors: Sequence[Finding] = (),
) -> list[Finding]:
    """Run all shape checks; a case with an error is excluded from the later checks.

    Args:
        shapes_mm: Shapes.
        flipped_mm: The same shapes with x and y of the world negated before the conversion.
        cases: Case names.
        names: Landmark names.
        spacing_mm: Voxel side of the working grid.
        known_errors: Errors of other checks, whose cases are excluded as well.
    """
    shapes_mm = _without(shapes_mm, known_errors, cases)
    found = ras_lps(shapes_mm, flipped_mm, cases)
    found += swapped(_without(shapes_mm, found, cases), cases, names)
    return found + outliers(_without(shapes_mm, found, cases), cases, names, spacing_mm)


def ras_lps(shapes_mm: Shapes, flipped_mm: Shapes, cases: Sequence[str]) -> list[Finding]:
    """Find cases that agree with the others only when x and y of the world are negated.

    Translations are not removed, since the position in the volume matters here. Returns one error
    per case; none with fewer than three cases.
    """
    if _count(shapes_mm) < FEWEST_TO_COMPARE:
        return []
    reference = others_median(shapes_mm)
    own_mm, other_mm = _rms(shapes_mm - reference), _rms(flipped_mm - reference)
    usual_mm = _usual(own_mm)[1]
    with np.errstate(invalid="ignore"):
        wrong = (other_mm < own_mm / 2) & (other_mm <= usual_mm) & (own_mm > usual_mm)
    found = []
    for index in np.flatnonzero(wrong).tolist():
        said = (
            f"a probable RAS/LPS mix-up: negating x and y brings the landmarks from "
            f"{own_mm[index]:.3g} mm to {other_mm[index]:.3g} mm of those of the other cases"
        )
        found.append(Finding("error", cases[index], "", f"{said}; {CORRECT_FRAME}"))
    return found


def swapped(shapes_mm: Shapes, cases: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """Find exchanged names within a case, above all left and right.

    Returns one error per case; none with fewer than four cases.
    """
    if _count(shapes_mm) < FEWEST_FOR_NAMES:
        return []
    aligned, reference = _aligned(shapes_mm)
    typical_mm = _usual(np.linalg.norm(aligned - reference, axis=2))[0]
    found = []
    for index, case in enumerate(cases):
        known = np.flatnonzero(np.isfinite(aligned[index] - reference[index]).all(axis=1))
        positions = reference[index, known]
        cycles = exchanged(aligned[index, known], positions, typical_mm)
        if cycles:
            sides = is_left_right(cycles, positions, typical_mm)
            called = [[names[known[point]] for point in cycle] for cycle in cycles]
            found.append(Finding("error", case, "", _exchange_message(called, sides)))
    return found


def outliers(
    shapes_mm: Shapes, cases: Sequence[str], names: Sequence[str], spacing_mm: float
) -> list[Finding]:
    """Find cases whose whole shape is unlike the others, and single landmarks out of place.

    A single landmark is compared with its conditional mean given the case's other landmarks, under
    a Gaussian fitted to the other cases. Outliers are left out of the predictions of the others.

    Returns warnings, and an error where two outliers fit with their names exchanged; none with
    fewer than five cases.
    """
    often = np.isfinite(shapes_mm).all(axis=2).sum(axis=0) >= FEWEST_FOR_SPREAD
    used = np.flatnonzero(np.isfinite(shapes_mm[:, often]).any(axis=(1, 2)))
    if len(used) < FEWEST_FOR_SPREAD:
        return []
    names = [name for name, is_often in zip(names, often, strict=True) if is_often]
    aligned, reference = _aligned(shapes_mm[used][:, often])
    # For the fit, missing landmarks are filled with the reference.
    filled = np.where(np.isfinite(aligned), aligned, reference)
    offsets_mm, _, limits_mm = _single_offsets(aligned, filled, spacing_mm)
    # For the fits to other cases, outliers are replaced by their predictions.
    doubtful = np.nan_to_num(np.linalg.norm(offsets_mm, axis=2)) > DOUBTFUL * limits_mm
    filled = np.where(doubtful[..., None], aligned - offsets_mm, filled)
    offsets_mm, typical_mm, limits_mm = _single_offsets(aligned, filled, spacing_mm)
    used_cases = [cases[index] for index in used.tolist()]
    found = _unlike_others(_rms(aligned - reference), used_cases, spacing_mm)
    suspicious = (np.nan_to_num(np.linalg.norm(offsets_mm, axis=2)) > limits_mm).any(axis=1)
    for index in np.flatnonzero(suspicious).tolist():
        model = ShapeGaussian.fit(np.delete(filled, index, axis=0))
        off = suspects(model, aligned[index], limits_mm, MOST_NAMED)
        found += _misplaced(used_cases[index], off, names, typical_mm)
    return found


def others_median(values: Float64[np.ndarray, "M ..."]) -> Float64[np.ndarray, "M ..."]:
    """Median over all other rows, for each row, ignoring NaN.

    >>> others_median(np.array([[1.0], [2.0], [9.0], [np.nan]])).ravel()
    array([5.5, 5. , 1.5, 2. ])
    """
    order = np.sort(values, axis=0)
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0, kind="stable")
    known = np.isfinite(values)
    count = known.sum(axis=0) - known
    middle = []
    for place in ((count - 1) // 2, count // 2):
        skipping = place + (place >= ranks)  # the row itself is not one of the others
        middle.append(np.take_along_axis(order, np.clip(skipping, 0, len(values) - 1), axis=0))
    return np.where(count > 0, (middle[0] + middle[1]) / 2, np.nan)


def _without(shapes_mm: Shapes, found: Sequence[Finding], cases: Sequence[str]) -> Shapes:
    """The shapes, with NaN for the cases that have a finding."""
    shapes_mm, named = shapes_mm.copy(), {finding.case for finding in found}
    shapes_mm[[case in named for case in cases]] = np.nan
    return shapes_mm


def _count(shapes_mm: Shapes) -> int:
    return int(np.isfinite(shapes_mm).any(axis=(1, 2)).sum())


def _mean(values: Float64[np.ndarray, "..."], axis: int) -> Float64[np.ndarray, "..."]:
    """Mean without NaN along an axis that is kept; NaN (without a warning) where all are NaN."""
    count = np.isfinite(values).sum(axis=axis, keepdims=True)
    total = np.nansum(values, axis=axis, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _rms(offsets_mm: Shapes) -> Float64[np.ndarray, " M"]:
    """Root mean square distance over the landmarks of each case."""
    squares = (offsets_mm**2).sum(axis=2)
    return np.sqrt(_mean(squares, axis=1)[:, 0])


def _usual(values: Float64[np.ndarray, "..."]) -> tuple[float, float]:
    """Median without NaN, and the limit of chance deviations."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.inf, np.inf
    median = float(np.median(known))
    return median, median + ROBUST_SDS * float(robust_sd(known))


def _aligned(shapes_mm: Shapes) -> tuple[Shapes, Shapes]:
    """Shapes without their translations, and their references moved onto them."""
    moved = shapes_mm
    for _ in range(10):  # without missing landmarks, one iteration is exact
        moved = moved - _mean(moved - _mean(moved, axis=0), axis=1)
    reference = others_median(moved)
    return moved, reference + _mean(moved - reference, axis=1)


def _single_offsets(
    shapes_mm: Shapes, filled_mm: Shapes, spacing_mm: float
) -> tuple[Shapes, Float64[np.ndarray, " L"], Float64[np.ndarray, " L"]]:
    """Offset of each landmark from its prediction; typical and largest usual length of them."""
    offsets_mm = np.empty_like(shapes_mm)
    for left_out in np.array_split(np.arange(len(shapes_mm)), min(len(shapes_mm), MOST_FITS)):
        others = ShapeGaussian.fit(np.delete(filled_mm, left_out, axis=0))
        offsets_mm[left_out] = [others.residuals(shapes_mm[index]) for index in left_out]
    lengths_mm = np.linalg.norm(offsets_mm, axis=2)
    typical_mm = np.nanmedian(lengths_mm, axis=0)
    limits_mm = ROBUST_SDS * (typical_mm + robust_sd(lengths_mm))
    return offsets_mm, typical_mm, np.maximum(limits_mm, NEAR_VOXELS * spacing_mm)


def _exchange_message(cycles: Sequence[Sequence[str]], sides: bool) -> str:
    if sides:
        pairs = ", ".join("<->".join(cycle) for cycle in cycles)
        return f"left and right look swapped (or the image is mirrored): {pairs}; correct the names"
    parts = []
    for cycle in cycles:
        ring = " -> ".join([*cycle, cycle[0]])
        pair = len(cycle) == 2
        parts.append(f"{' and '.join(cycle)} look swapped" if pair else f"{ring} look exchanged")
    return f"names {', '.join(parts)}; correct the names in the landmark file"


def _unlike_others(
    rms_mm: Float64[np.ndarray, " M"], cases: Sequence[str], spacing_mm: float
) -> list[Finding]:
    typical_mm, limit_mm = _usual(rms_mm)
    limit_mm = max(limit_mm, 1.5 * typical_mm, spacing_mm)
    found = []
    for case, own_mm in zip(cases, rms_mm, strict=True):
        if own_mm > limit_mm:
            said = (
                f"the whole shape lies {own_mm:.3g} mm from the other cases' "
                f"(typically {typical_mm:.3g} mm); check that it is the same anatomy, in mm"
            )
            found.append(Finding("warning", case, "", said))
    return found


def _misplaced(
    case: str, off: Suspects, names: Sequence[str], typical_mm: Float64[np.ndarray, " L"]
) -> list[Finding]:
    """Findings of suspect landmarks; a pair that fits with names exchanged is one error."""
    found = [
        Finding("error", case, "", _exchange_message([[names[a], names[b]]], sides=False))
        for a, b in off.exchanged
    ]
    paired = {index for pair in off.exchanged for index in pair}
    for index, apart_mm in off.distances_mm.items():
        if index not in paired:
            said = (
                f"landmark {names[index]} lies {apart_mm:.3g} mm from where the others suggest "
                f"(typically {typical_mm[index]:.2g} mm); look at it"
            )
            found.append(Finding("warning", case, names[index], said))
    return found

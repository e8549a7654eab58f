"""Shape checks: comparison of each case's landmarks with those of the other cases.

Shapes are in grid millimetres [M, L, 3], one per case, NaN where a landmark is missing. The
reference of a case is the median of the other cases, robust to a few wrong ones; shapes are aligned
with it first, so that scans may have any position and orientation. In the arguments, `cases` and
`names` are the names of cases and landmarks.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from pin_lightning.data.checks.aligned_shapes import AlignedShapes, Shapes, align
from pin_lightning.data.checks.cases import CORRECT_FRAME, Finding
from pin_lightning.data.checks.naming import exchange_message, swapped
from pin_lightning.data.checks.robust_statistics import (
    ROBUST_SDS,
    others_median,
    rms,
    robust_sd,
    usual,
)
from pin_lightning.data.checks.shape_gaussian import ShapeGaussian, Suspects, suspects
from pin_lightning.data.checks.sizes import sizes

FEWEST_TO_COMPARE, FEWEST_FOR_SPREAD = 3, 5  # cases with landmarks
NEAR_VOXELS = 3  # usual difference between annotators
DOUBTFUL = 0.5  # share of the limit beyond which a landmark is left out of the fit
MOST_NAMED = 5  # landmarks named per case
FEW_MISPLACED = 0.25  # share of the landmarks; the others tell whether the whole shape is unlike
LEAST_UNLIKE = 2  # typical distances of a shape
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

    The alignment is robust: a case with an error does not skew those of the others.

    Args:
        shapes_mm: Shapes.
        flipped_mm: The same shapes with x and y of the world negated before the conversion.
        cases: Case names.
        names: Landmark names.
        spacing_mm: Voxel side of the working grid.
        known_errors: Errors of other checks, whose cases are excluded as well.
    """
    shapes_mm = _without(shapes_mm, known_errors, cases)
    if not np.isfinite(shapes_mm).any():
        return []
    aligned = align(shapes_mm)
    found = ras_lps(shapes_mm, flipped_mm, cases, aligned)
    found += sizes(shapes_mm, cases, aligned)
    found = _until_errors([*found, *swapped(shapes_mm, cases, names, aligned)])
    errors = [finding for finding in found if finding.level == "error" and finding.case]
    if errors:
        aligned = align(_without(shapes_mm, errors, cases))
    return found + outliers(aligned, cases, names, spacing_mm)


def ras_lps(
    shapes_mm: Shapes, flipped_mm: Shapes, cases: Sequence[str], aligned: AlignedShapes
) -> list[Finding]:
    """Find cases that agree with the others only when x and y of the world are negated.

    Negating x and y is half a turn about z, which alignment would remove: positions in the volume
    are compared instead, which mean something where scans are in line with each other. Returns one
    error per case; none with fewer than three cases, or where scans are turned in any way.
    """
    if _count(shapes_mm) < FEWEST_TO_COMPARE or aligned.in_line is None:
        return []
    reference = others_median(shapes_mm)
    own_mm, other_mm = rms(shapes_mm - reference), rms(flipped_mm - reference)
    usual_mm = usual(own_mm)[1]
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


def outliers(
    aligned: AlignedShapes, cases: Sequence[str], names: Sequence[str], spacing_mm: float
) -> list[Finding]:
    """Find cases whose whole shape is unlike the others, and single landmarks out of place.

    A single landmark is compared with its conditional mean given the case's other landmarks, under
    a Gaussian fitted to the other cases. Outliers are left out of the predictions of the others.

    Returns warnings, and an error where two outliers fit with their names exchanged; none with
    fewer than five cases.
    """
    often = np.isfinite(aligned.shapes_mm).all(axis=2).sum(axis=0) >= FEWEST_FOR_SPREAD
    used = np.flatnonzero(np.isfinite(aligned.shapes_mm[:, often]).any(axis=(1, 2)))
    if len(used) < FEWEST_FOR_SPREAD:
        return []
    names = [name for name, is_often in zip(names, often, strict=True) if is_often]
    shapes_mm, reference = (
        one[used][:, often] for one in (aligned.shapes_mm, aligned.reference_mm)
    )
    # For the fit, missing landmarks are filled with the reference.
    filled = np.where(np.isfinite(shapes_mm), shapes_mm, reference)
    offsets_mm, _, limits_mm = _single_offsets(shapes_mm, filled, spacing_mm)
    # For the fits to other cases, outliers are replaced by their predictions.
    doubtful = np.nan_to_num(np.linalg.norm(offsets_mm, axis=2)) > DOUBTFUL * limits_mm
    filled = np.where(doubtful[..., None], shapes_mm - offsets_mm, filled)
    offsets_mm, typical_mm, limits_mm = _single_offsets(shapes_mm, filled, spacing_mm)
    used_cases = [cases[index] for index in used.tolist()]
    suspicious = (np.nan_to_num(np.linalg.norm(offsets_mm, axis=2)) > limits_mm).any(axis=1)
    found, others = [], shapes_mm - reference
    for index in np.flatnonzero(suspicious).tolist():
        model = ShapeGaussian.fit(np.delete(filled, index, axis=0))
        off = suspects(model, shapes_mm[index], limits_mm, MOST_NAMED)
        found += _misplaced(used_cases[index], off, names, typical_mm)
        if len(off.distances_mm) <= FEW_MISPLACED * len(names):
            others[index, list(off.distances_mm)] = np.nan
    return _unlike_others(rms(others), used_cases, spacing_mm) + found


def _without(shapes_mm: Shapes, found: Sequence[Finding], cases: Sequence[str]) -> Shapes:
    """The shapes, with NaN for the cases that have a finding."""
    shapes_mm, named = shapes_mm.copy(), {finding.case for finding in found}
    shapes_mm[[case in named for case in cases]] = np.nan
    return shapes_mm


def _until_errors(found: Sequence[Finding]) -> list[Finding]:
    """The findings of each case up to its first error; those after it may follow from it."""
    kept, wrong = [], set[str]()
    for finding in found:
        if finding.case not in wrong:
            kept.append(finding)
        if finding.level == "error" and finding.case:
            wrong.add(finding.case)
    return kept


def _count(shapes_mm: Shapes) -> int:
    return int(np.isfinite(shapes_mm).any(axis=(1, 2)).sum())


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


def _unlike_others(
    rms_mm: Float64[np.ndarray, " M"], cases: Sequence[str], spacing_mm: float
) -> list[Finding]:
    typical_mm, limit_mm = usual(rms_mm)
    limit_mm = max(limit_mm, LEAST_UNLIKE * typical_mm, spacing_mm)
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
        Finding("error", case, "", exchange_message([[names[a], names[b]]], sides=False))
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

"""Sizes of shapes, which alignment removes: other units, and cases unlike the others."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.spatial.distance import pdist

from pin_lightning.data.checks.aligned_shapes import AlignedShapes, Shapes
from pin_lightning.data.checks.cases import Finding
from pin_lightning.data.checks.robust_statistics import ROBUST_SDS, robust_sd

FACTOR_WRONG = 5  # another unit: no anatomy differs as much
FACTOR_ODD, FEWEST_FOR_SPREAD = 1.25, 5  # least unusual factor, among at least as many cases


def sizes(shapes_mm: Shapes, cases: Sequence[str], aligned: AlignedShapes) -> list[Finding]:
    """Find cases whose landmarks are much larger or smaller than those of the others.

    Returns errors where the unit is probably another, else warnings; of two cases, one error that
    names both.
    """
    used = np.flatnonzero(np.isfinite(shapes_mm).all(axis=2).sum(axis=1) > 1)
    if len(used) < 2:
        return []
    factors = size_factors(shapes_mm[used], aligned.reference_mm[used])
    known = factors[np.isfinite(factors)]
    if len(used) == 2:
        factor = float(known.max() / known.min()) if len(known) else 1.0
        both = " and ".join(cases[index] for index in used.tolist())
        said = f"landmarks of {both} differ {factor:.3g} times in size; are both in mm?"
        return [Finding("error", "", "", said)] if factor > FACTOR_WRONG else []
    limit = float(FACTOR_WRONG)
    if len(known) >= FEWEST_FOR_SPREAD:
        odd = float(np.exp(ROBUST_SDS * robust_sd(np.log(known))))
        limit = min(max(odd, FACTOR_ODD), limit)
    found = []
    for index, factor in zip(used.tolist(), factors.tolist(), strict=True):
        if max(factor, 1 / factor) > limit:
            wrong = max(factor, 1 / factor) > FACTOR_WRONG
            said = (
                f"its landmarks lie {factor:.3g} times as far from each other as in the other "
                f"cases; {'is the unit mm?' if wrong else 'check that it is the same anatomy'}"
            )
            found.append(Finding("error" if wrong else "warning", cases[index], "", said))
    return found


def size_factors(shapes_mm: Shapes, references_mm: Shapes) -> Float64[np.ndarray, " M"]:
    """Size of each case relative to its reference: the median ratio of distances of landmarks.

    NaN for a case without two landmarks at different places that others have, too.
    """
    factors = np.full(len(shapes_mm), np.nan)
    for index, (shape, reference) in enumerate(zip(shapes_mm, references_mm, strict=True)):
        own, usual = pdist(shape), pdist(reference)
        ratios = own[usual > 0] / usual[usual > 0]
        ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
        if len(ratios):
            factors[index] = np.median(ratios)
    return factors

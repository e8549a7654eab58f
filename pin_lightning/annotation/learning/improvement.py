"""What a new model improved: its out-of-fold errors beside those of earlier predictions.

Of corrected cases the earlier prediction errs where a person moved a point, and by definition
nowhere else. So the points that were moved are compared, and all are given beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pin_lightning.annotation.points import SAME_MM, Position
from pin_lightning.evaluation.evaluation import Evaluation


@dataclass(frozen=True)
class CaseErrors:
    """Mean errors in mm of a corrected case.

    Attributes:
        case: Its name.
        moved: Points that a person moved.
        moved_before_mm: Error of the earlier prediction of these.
        moved_after_mm: Error of the new model, which did not see the case, of these.
        after_mm: Error of the new model of all points.
    """

    case: str
    moved: int
    moved_before_mm: float
    moved_after_mm: float
    after_mm: float


@dataclass(frozen=True)
class Improvement:
    """Errors of the new model on cases that it did not see, and of what predicted them before.

    Attributes:
        error_mm: Mean error of the new model, of all cases.
        num_cases: Number of cases.
        cases: Corrected cases of which points were moved.
    """

    error_mm: float
    num_cases: int
    cases: tuple[CaseErrors, ...]

    @property
    def moved(self) -> int:
        """Points that were moved."""
        return sum(one.moved for one in self.cases)

    def mean_mm(self, kind: str) -> float:
        """Mean over moved points of ``before`` or ``after``."""
        values = [one.moved * getattr(one, f"moved_{kind}_mm") for one in self.cases]
        return float(sum(values) / max(self.moved, 1))

    @property
    def text(self) -> str:
        """What to say of it.

        >>> Improvement(0.25, 5, (CaseErrors("a", 2, 0.8, 0.3, 0.25),)).text
        '2 moved points: 0.80 mm off before, 0.30 mm now, by models that had not seen them'
        """
        if not self.moved:
            return f"{self.error_mm:.2f} mm off, by models that had not seen the case"
        before, after = self.mean_mm("before"), self.mean_mm("after")
        return (
            f"{self.moved} moved point{'s' * (self.moved != 1)}: {before:.2f} mm off before, "
            f"{after:.2f} mm now, by models that had not seen them"
        )


def improvement(
    evaluation: Evaluation, earlier: Mapping[str, Mapping[str, Position]]
) -> Improvement:
    """Compare out-of-fold predictions with earlier ones.

    Args:
        evaluation: Out-of-fold predictions of the new model beside the annotations.
        earlier: Of corrected cases, positions that were predicted before, in world RAS+ mm.
    """
    errors, cases = evaluation.errors_mm, []
    for index, case in enumerate(evaluation.cases):
        before = np.full((len(evaluation.names), 3), np.nan)
        for place, name in enumerate(evaluation.names):
            before[place] = earlier.get(case, {}).get(name, np.nan)
        off_mm = np.linalg.norm(before - evaluation.truth_world[index], axis=1)
        moved = evaluation.defined[index] & (np.nan_to_num(off_mm) > SAME_MM)
        if moved.any():
            means = (off_mm[moved].mean(), errors[index, moved].mean(), np.nanmean(errors[index]))
            cases.append(CaseErrors(case, int(moved.sum()), *map(float, means)))
    return Improvement(float(np.nanmean(errors)), len(evaluation.cases), tuple(cases))

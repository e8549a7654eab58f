"""Annotated landmarks that out-of-fold predictions contradict: far off, or exchanged with others.

The score of a landmark is its error in units of its scale, as that of its radius (`conformal`). The
scores of right annotations have a tail, which is taken as exponential beyond their 90 % quantile,
with the decline that lies between median and that quantile. So a limit that one in a thousand right
landmarks exceeds follows without a thousand of them, and without the largest scores, which may be
those of wrong ones. What is beyond the limit is left out, and scales and limit are found again,
until nothing changes.

Of an exchanged pair, each one lies where the other is predicted. That is seen at smaller distances
than a single landmark out of place, as two scores have to be large at once, and small after the
exchange. The minus log of the chance to exceed a score, by the same tail, makes the two comparable:
an exchange has to gain as much as a single landmark beyond its limit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pin_lightning.data.checks.exchanged_names import cycles_of
from pin_lightning.evaluation.conformal import ConformalSettings, scales_mm
from pin_lightning.evaluation.evaluation import Evaluation

FALSE_ALARMS = 0.001  # share of right landmarks that are named
FEWEST_SCORES = 30  # fewer say nothing about a tail
MOST_FAR = 0.5  # share of a case's landmarks beyond which the case as a whole is named
MOST_ROUNDS = 20
Kind: TypeAlias = Literal["exchanged", "far", "case"]
PerCase: TypeAlias = Float64[np.ndarray, "N L"]


@dataclass(frozen=True)
class Contradiction:
    """Landmarks of a case whose annotation the prediction contradicts.

    Attributes:
        kind: ``exchanged``: each lies at the place of the next, the last at that of the first;
            ``far``: one is far off; ``case``: so many are that the prediction may be wrong, or the
            landmarks belong to another scan.
        case: Case name.
        landmarks: Their names; of a ``case`` those that are far off.
        error_mm: Distance of each from its prediction.
        limit_mm: Distance that one in a thousand right annotations of it exceeds, in this case.
    """

    kind: Kind
    case: str
    landmarks: tuple[str, ...]
    error_mm: tuple[float, ...]
    limit_mm: tuple[float, ...]

    @property
    def severity(self) -> float:
        """Largest error in units of its limit."""
        return max(a / b for a, b in zip(self.error_mm, self.limit_mm, strict=True))

    @property
    def message(self) -> str:
        """What is said of it, without the name of the case.

        >>> Contradiction("far", "ANNA", ("Nasion",), (1.25,), (0.5,)).message
        'Nasion lies 1.25 mm from its prediction, at most 0.5 mm are expected'
        """
        if self.kind == "exchanged":
            ring = [*self.landmarks, self.landmarks[0]]
            pair = len(self.landmarks) == 2
            return f"{' and '.join(self.landmarks) if pair else ' -> '.join(ring)} look exchanged"
        if self.kind == "case":
            return (
                f"{len(self.landmarks)} landmarks lie far from their predictions: the prediction "
                f"of the case is wrong, or they are those of another scan"
            )
        off, limit = (f"{one[0]:.3g} mm" for one in (self.error_mm, self.limit_mm))
        return f"{self.landmarks[0]} lies {off} from its prediction, at most {limit} are expected"


@dataclass(frozen=True)
class Tail:
    """Scores of right annotations: median, 90 % quantile, and the exponential tail beyond."""

    middle: float
    high: float

    @property
    def decline(self) -> float:
        """Length over which the chance of a larger score falls by a factor of e."""
        return max((self.high - self.middle) / math.log(5), 1e-9)

    def limit(self, share: float) -> float:
        """Score that a share of right annotations exceeds, at most a tenth of them."""
        return self.high + self.decline * math.log(0.1 / share)

    def surprise(self, scores: np.ndarray) -> np.ndarray:
        """Minus log of the chance to exceed scores, 0 up to the median's half."""
        beyond = (scores - self.high) / self.decline + math.log(10)
        return np.maximum(beyond, 0.0)


def find_contradictions(
    evaluation: Evaluation, false_alarms: float = FALSE_ALARMS
) -> list[Contradiction]:
    """Find annotated landmarks that predictions contradict, the most severe first.

    Args:
        evaluation: Predictions by networks that were not trained on these cases.
        false_alarms: Share of right landmarks that may be named, of each of the two kinds.

    Returns:
        None of them where there are too few landmarks to tell what is usual.
    """
    if int(evaluation.defined.sum()) < FEWEST_SCORES:
        return []
    named = np.zeros_like(evaluation.defined)
    for _ in range(MOST_ROUNDS):
        found, now = _round(evaluation, named, false_alarms)
        if np.array_equal(now, named):
            break
        named = now
    return sorted(found, key=lambda one: -one.severity)


def _round(
    evaluation: Evaluation, left_out: Bool[np.ndarray, "N L"], false_alarms: float
) -> tuple[list[Contradiction], Bool[np.ndarray, "N L"]]:
    """Contradictions by what is usual among all but some landmarks, and which those are."""
    errors_mm = evaluation.errors_mm
    usual_mm = np.where(left_out, np.nan, errors_mm)
    scale_mm = scales_mm(usual_mm, evaluation.spread_mm, ConformalSettings())
    scores = usual_mm / scale_mm
    middle, high = np.nanquantile(scores, [0.5, 0.9]).tolist()
    tail = Tail(middle, high)
    limit_mm = tail.limit(false_alarms) * scale_mm
    found, named = [], np.zeros_like(left_out)
    for case in range(len(evaluation.cases)):
        cycles = _exchanged(evaluation, case, scale_mm[case], tail, -math.log(false_alarms))
        far = errors_mm[case] > limit_mm[case]
        named[case] = far
        for cycle in cycles:
            named[case, cycle] = True
            far[cycle] = False
            found.append(_contradiction("exchanged", evaluation, case, cycle, limit_mm[case]))
        places = np.flatnonzero(far).tolist()
        whole = len(places) > max(1.0, MOST_FAR * int(evaluation.defined[case].sum()))
        for group in [places] if whole else [[one] for one in places]:
            kind: Kind = "case" if whole else "far"
            found.append(_contradiction(kind, evaluation, case, group, limit_mm[case]))
    return found, named


def _contradiction(
    kind: Kind, evaluation: Evaluation, case: int, places: Sequence[int], limit_mm: np.ndarray
) -> Contradiction:
    return Contradiction(
        kind,
        evaluation.cases[case],
        tuple(evaluation.names[one] for one in places),
        tuple(evaluation.errors_mm[case, list(places)].tolist()),
        tuple(limit_mm[list(places)].tolist()),
    )


def _exchanged(
    evaluation: Evaluation, case: int, scale_mm: np.ndarray, tail: Tail, gain: float
) -> list[list[int]]:
    """Cycles of landmarks, each of which is annotated where the next one is predicted."""
    known = np.flatnonzero(evaluation.defined[case])
    truth, predicted = evaluation.truth_world[case, known], evaluation.predicted_world[case, known]
    distances = cdist(truth, predicted)  # of annotation i from prediction j
    surprise = tail.surprise(distances / scale_mm[known])
    keeping = gain / 2 * np.eye(len(known))
    to = linear_sum_assignment(surprise - keeping)[1]
    found = []
    for cycle in cycles_of(to.tolist()):
        before, after = surprise[cycle, cycle], surprise[cycle, to[cycle]]
        nearer = distances[cycle, to[cycle]].sum() < distances[cycle, cycle].sum() / 2
        if before.sum() - after.sum() > gain and after.max() < gain and nearer:
            found.append(known[cycle].tolist())
    return found

"""When a found pose is uncertain: limits of its score, and of its lead over the second best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pin_lightning.common.alignment import Pose, rotation_degrees
from pin_lightning.method.pose.finder import FoundPose

RIGHT_DEGREES, RIGHT_SHARE = 25.0, 0.12  # farther off, in angle or share of the extent, is wrong
# By how much new scans score worse than training scans; a share of their score.
DEFAULT_GAP = 0.33
SDS = 3.0  # of the usual score or gap, above which a score is uncertain
NEVER_SURE = (-1e6, 1e6)  # limits of a stage that finds nothing in the scans it was trained on
USUAL_LEAD = 0.35  # share of the usual lead of right poses, below which one is uncertain
# By how much limits lie beyond a wrong pose: shares of the usual score, and of its lead.
CLEAR, CLEAR_LEAD = 0.025, 0.05
OFTEN_WRONG = 0.1  # share of held-out scans found wrong, above which good scores tell little


@dataclass(frozen=True)
class PoseLimits:
    """Limits beyond which a pose is uncertain.

    Attributes:
        score: Largest score of a sure pose.
        lead: Smallest lead of a sure pose: score of the second best distinct pose minus its own.
    """

    score: float
    lead: float

    def is_uncertain(self, found: FoundPose) -> bool:
        """Tell whether a pose is uncertain; a score that is not a number is."""
        return not self.hold(found.score, found.lead)

    def hold(self, score: float, lead: float) -> bool:
        """Tell whether a score and a lead are within the limits."""
        return score <= self.score and lead >= self.lead


@dataclass(frozen=True)
class Judged:
    """A found pose beside the true one.

    Attributes:
        score: Its score.
        lead: Its lead.
        degrees: Angle between the two.
        share: Mean distance of the landmarks placed by the two, as a share of the extent.
    """

    score: float
    lead: float
    degrees: float
    share: float

    @classmethod
    def of(cls, found: FoundPose, true: Pose, shape_mm: np.ndarray, extent_mm: float) -> "Judged":
        """Compare a found pose with the true one of a shape."""
        apart = np.linalg.norm(found.pose.place(shape_mm) - true.place(shape_mm), axis=1).mean()
        degrees = rotation_degrees(found.pose.rotation, true.rotation)
        return cls(found.score, found.lead, degrees, float(apart) / extent_mm)

    @property
    def is_right(self) -> bool:
        """True unless the pose is another one than the true one."""
        return self.degrees <= RIGHT_DEGREES and self.share <= RIGHT_SHARE


def calibrate(
    trained_on: Sequence[Judged], held_out: Sequence[tuple[Judged, float]] = ()
) -> PoseLimits:
    """Set limits from poses found in training scans and, where there are, in held-out ones.

    A network scores scans that it was trained on better than new ones. So the limit of scores is
    that of training scans plus the gap measured on networks that were trained without some scans.
    Wrong poses of held-out scans lie beyond one of the limits, that which leaves more of the right
    ones sure; where there are many, as after few training scans, beyond that of leads, since other
    wrong ones will score better.

    Args:
        trained_on: Poses found by the network in scans that trained it.
        held_out: Poses found by other networks in scans that did not train them, each with the
            median score of the scans that did.
    """
    own = np.array([one.score for one in trained_on if one.is_right])
    if not len(own):
        return PoseLimits(*NEVER_SURE)
    right = [(one, usual) for one, usual in held_out if one.is_right]
    middle = float(np.median(own))
    default = DEFAULT_GAP * abs(middle)
    gaps = np.array([one.score - usual for one, usual in right] or [default])
    spread = SDS * math.hypot(_sd(own), _sd(gaps))
    score = middle + float(np.median(gaps)) + max(spread, 0.25 * default)
    leads = [one.lead for one, _ in right] or [one.lead for one in trained_on if one.is_right]
    finite = [lead for lead in leads if math.isfinite(lead)]
    lead = USUAL_LEAD * float(np.median(finite)) if finite else 0.0
    usual_limits = PoseLimits(score, lead)
    others = [(middle + one.score - usual, one) for one, usual in held_out]
    right_ones, wrong_ones = (
        [(its, one.lead) for its, one in others if one.is_right is kind] for kind in (True, False)
    )
    clear = CLEAR * abs(middle)
    return _beyond(wrong_ones, right_ones, usual_limits, clear, often_wrong(held_out))


def _beyond(
    wrong: Sequence[tuple[float, float]],
    right: Sequence[tuple[float, float]],
    usual: PoseLimits,
    clear: float,
    often: bool,
) -> PoseLimits:
    """Limits that hold for no wrong pose, and for the most right ones; pairs: score and lead.

    Args:
        wrong: Wrong poses.
        right: Right ones.
        usual: Limits without wrong ones.
        clear: How far a limit of scores lies below the score of a wrong one.
        often: Whether wrong ones are many: their leads then count whatever they score.
    """
    found = []
    for score in [usual.score, *(one - clear for one, _ in wrong if one <= usual.score)]:
        leads = [lead for one, lead in wrong if one <= score or (often and math.isfinite(lead))]
        least = max([usual.lead, *((1 + CLEAR_LEAD) * lead for lead in leads)])
        if math.isfinite(least):  # else one without a second pose scores well
            found.append(PoseLimits(score, least))
    return max(found, key=lambda limits: sum(limits.hold(*one) for one in right))


def often_wrong(held_out: Sequence[tuple[Judged, float]]) -> bool:
    """Tell whether so many poses of held-out scans are wrong that good scores tell little."""
    return sum(not one.is_right for one, _ in held_out) > OFTEN_WRONG * len(held_out)


def _sd(values: np.ndarray) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if len(values) > 1 else 0.0

"""How doubtful a prediction is, as a number to sort by and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pin_lightning.annotation.states import DoubtKind
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Doubts, Reviewed, doubts_of, usual_of
from pin_lightning.runs.error_bars import ErrorBars

# Above all ratios of radii: poses that may be wrong, then volumes without any prediction, then
# those of which some landmark lies outside the scan.
UNCERTAIN, FAILED, OUTSIDE, MOST_RATIO, REMARK = 3000.0, 2000.0, 1000.0, 900.0, 1e-3
MOST_NAMED = 3


@dataclass(frozen=True)
class Doubtful:
    """Doubt about a volume.

    Attributes:
        number: The larger, the more doubtful.
        texts: Kind (``pose``, ``radius``, ``flag`` or ``failed``) and text of each doubt.
        reasons: Why to look at each landmark, in their order; empty where there is no reason.
        named: Landmarks that a text names, in its order.
    """

    number: float
    texts: tuple[tuple[DoubtKind, str], ...]
    reasons: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


NO_DOUBT = Doubtful(0.0, ())


def doubtful(
    one: Reviewed | Failed | None,
    names: Sequence[str],
    usual_mm: Float64[np.ndarray, " L"] | None,
    error_bars: ErrorBars | None,
) -> Doubtful:
    """Doubt about a volume.

    Args:
        one: What is known of it.
        names: Its landmarks.
        usual_mm: As of `usual`.
        error_bars: Error bars of the run, if it has any.
    """
    if one is None or (isinstance(one, Reviewed) and usual_mm is None):
        return NO_DOUBT
    if isinstance(one, Failed):
        return Doubtful(FAILED, (("failed", one.reason),))
    assert usual_mm is not None
    found = doubts_of(one, usual_mm, error_bars)
    texts: list[tuple[DoubtKind, str]] = [("flag", remark) for remark in one.remarks]
    reasons, measure = [], "spread" if error_bars is None else "radius"
    named: list[str] = []
    for index, said in enumerate(one.reasons):
        ratio = float(found.ratio[index])
        wide = found.flagged[index] and not said and np.isfinite(ratio)
        reasons.append(", ".join([*said, *[f"{ratio:.1f} times its usual {measure}"] * int(wide)]))
    flagged = [name for name, reason in zip(names, reasons, strict=True) if reason]
    if one.uncertain:
        texts.insert(0, ("pose", f"pose uncertain ({one.pose})"))
    elif flagged:
        more = f" and {len(flagged) - MOST_NAMED} more" * (len(flagged) > MOST_NAMED)
        named = flagged[:MOST_NAMED]
        what = "landmark" if len(flagged) == 1 else "landmarks"  # names may be numbers
        texts.insert(0, ("radius", f"look at {what} {', '.join(named)}{more}"))
    return Doubtful(_number(one, found), tuple(texts), tuple(reasons), tuple(named))


def usual(known: Sequence[Reviewed]) -> Float64[np.ndarray, " L"] | None:
    """Usual radius or spread of each landmark; None where nothing is predicted."""
    return usual_of(np.stack([one.doubt_mm for one in known])) if known else None


def _number(one: Reviewed, found: Doubts) -> float:
    nothing_known, score = found.rank
    if nothing_known:
        return UNCERTAIN + float(np.clip(score, -MOST_RATIO / 2, MOST_RATIO / 2))
    finite = np.isfinite(found.ratio)
    number = min(float(found.ratio[finite].max()), MOST_RATIO)
    return number + OUTSIDE * (not finite.all()) + REMARK * len(one.remarks)

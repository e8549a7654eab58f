"""How often error bars hold: coverage that was asked for against coverage that was observed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.conformal import ConformalSettings, leave_one_case_out

LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Covered:
    """Coverage at one level.

    Attributes:
        asked: Share of the landmarks that are to lie within their radius.
        observed: Share that do, when each case is left out in turn.
        interval: Of the observed share, none with too few cases.
        median_radius_mm: Median radius of all cases and landmarks.
    """

    asked: float
    observed: float
    interval: tuple[float, float] | None
    median_radius_mm: float


def coverage_curve(
    errors_mm: Float64[np.ndarray, "N L"],
    spread_mm: Float64[np.ndarray, "N L"],
    settings: ConformalSettings,
    bootstrap: BootstrapSettings,
    levels: Sequence[float] = LEVELS,
) -> list[Covered]:
    """Observed coverage of several levels, and of the one of the settings.

    Args:
        errors_mm: Radial errors, NaN where a case lacks a landmark.
        spread_mm: Spread of each prediction.
        settings: How radii are fitted.
        bootstrap: How intervals are made.
        levels: Coverages to ask for.

    Returns:
        One for each level, ascending; those that need more cases than there are are left out.
    """
    found = []
    for level in sorted({*levels, settings.coverage}):
        asked = replace(settings, coverage=level)
        within, radii_mm = leave_one_case_out(errors_mm, spread_mm, asked)
        if np.isfinite(radii_mm).all() and np.isfinite(within).any():
            ends = bootstrap.interval(within, np.mean)
            interval = None if ends is None else (ends[0], ends[1])
            observed = float(np.nanmean(within))
            found.append(Covered(level, observed, interval, float(np.median(radii_mm))))
    return found

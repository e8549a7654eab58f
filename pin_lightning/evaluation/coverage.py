"""Calibration curve of the error bars: observed coverage against the coverage asked for."""

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
        observed: Share that does when each case is left out in turn.
        interval: Bootstrap interval of the observed share; None with too few cases.
        median_radius_mm: Median radius of all cases and landmarks.
    """

    asked: float
    observed: float
    interval: Sequence[float] | None
    median_radius_mm: float


def coverage_curve(
    errors_mm: Float64[np.ndarray, "N L"],
    spread_mm: Float64[np.ndarray, "N L"],
    settings: ConformalSettings,
    bootstrap: BootstrapSettings,
) -> list[Covered]:
    """Observed coverage at `LEVELS` and at the level of the settings; errors may be NaN.

    Returns:
        One for each level, ascending, without levels that need more cases than there are.
    """
    found = []
    for level in sorted({*LEVELS, settings.coverage}):
        asked = replace(settings, coverage=level)
        within, radii_mm = leave_one_case_out(errors_mm, spread_mm, asked)
        if np.isfinite(radii_mm).all() and np.isfinite(within).any():
            interval = bootstrap.interval(within, np.mean)
            observed = float(np.nanmean(within))
            found.append(Covered(level, observed, interval, float(np.median(radii_mm))))
    return found

"""Texts and table cells of the radii of predictions, with marks for review."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pin_lightning.common.types import Bool, Float
from pin_lightning.evaluation.conformal import Calibration

Spreads: TypeAlias = Float[np.ndarray, " L"]
Marks: TypeAlias = Bool[np.ndarray, " L"]


@dataclass(frozen=True, eq=False)
class ErrorBars:
    """Texts and cells of radii, from the spreads and from what is marked for review anyway.

    Attributes:
        calibration: Calibration of the predictor.
        review_above_mm: Largest radius that needs no review; None is twice the usual one of each
            landmark.

    Raises:
        ValueError: The limit is not a positive number.
    """

    calibration: Calibration
    review_above_mm: float | None

    def __post_init__(self) -> None:
        """Refuse a wrong limit now rather than with the first volume."""
        self.calibration.for_review(self.calibration.median_radius_mm, self.review_above_mm)

    def texts(self, spread_mm: Spreads, marked: Marks) -> list[str]:
        """One line for each landmark, such as ``90 % within 0.31 mm``."""
        share = f"{100 * self.calibration.settings.coverage:g} %"
        return [
            f"{'review: ' if review else ''}{share} within {radius:.2f} mm"
            for radius, review in self.judged(spread_mm, marked)
        ]

    def cells(self, spread_mm: Spreads, marked: Marks) -> list[list[str]]:
        """Coverage, radius in mm, and yes or no for review, for each landmark."""
        coverage = f"{self.calibration.settings.coverage:g}"
        return [
            [coverage, f"{radius:.4f}", "yes" if review else "no"]
            for radius, review in self.judged(spread_mm, marked)
        ]

    def judged(self, spread_mm: Spreads, marked: Marks) -> list[tuple[float, bool]]:
        """Radius in mm, and whether it is to be reviewed, for each landmark."""
        radius_mm = self.calibration.radius_mm(spread_mm)
        marks = self.calibration.for_review(radius_mm, self.review_above_mm) | marked
        return list(zip(radius_mm.tolist(), marks.tolist(), strict=True))

"""How the radii of predictions are written, and which landmarks a person should look at."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pin_lightning.common.types import Bool, Float
from pin_lightning.evaluation.conformal import Calibration


@runtime_checkable
class Spreads(Protocol):
    """A prediction, or what is kept of it."""

    @property
    def spread_mm(self) -> Float[np.ndarray, " L"]:
        """Spread of the starts of each landmark."""
        ...

    @property
    def outside(self) -> Bool[np.ndarray, " L"]:
        """Which landmarks lie outside the volume."""
        ...


@dataclass(frozen=True, eq=False)
class ErrorBars:
    """Texts and cells of the radii of predictions.

    Attributes:
        calibration: Of the predictor.
        review_above_mm: Largest radius that needs no look; none is twice what is usual for each
            landmark.

    Raises:
        ValueError: The limit is no positive number.
    """

    calibration: Calibration
    review_above_mm: float | None

    def __post_init__(self) -> None:
        """Refuse a wrong limit now rather than with the first volume."""
        self.calibration.for_review(self.calibration.median_radius_mm, self.review_above_mm)

    def texts(self, prediction: Spreads) -> list[str]:
        """One line for each landmark, such as ``90 % within 0.31 mm``."""
        share = f"{100 * self.calibration.settings.coverage:g} %"
        return [
            f"{'review: ' if marked else ''}{share} within {radius:.2f} mm"
            for radius, marked in self._marked(prediction)
        ]

    def cells(self, prediction: Spreads) -> list[list[str]]:
        """Coverage, radius in mm, and whether to look at it, for each landmark."""
        coverage = f"{self.calibration.settings.coverage:g}"
        return [
            [coverage, f"{radius:.4f}", "yes" if marked else "no"]
            for radius, marked in self._marked(prediction)
        ]

    def _marked(self, prediction: Spreads) -> list[tuple[float, bool]]:
        radius_mm = self.calibration.radius_mm(prediction.spread_mm)
        marks = self.calibration.for_review(radius_mm, self.review_above_mm) | prediction.outside
        return list(zip(radius_mm.tolist(), marks.tolist(), strict=True))

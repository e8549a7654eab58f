"""How the radii of predictions are written, and which landmarks a person should look at."""

from dataclasses import dataclass

from pin_lightning.conformal import Calibration
from pin_lightning.predictor import Prediction


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

    def texts(self, prediction: Prediction) -> list[str]:
        """One line for each landmark, such as ``90 % within 0.31 mm``."""
        share = f"{100 * self.calibration.settings.coverage:g} %"
        return [
            f"{'review: ' if marked else ''}{share} within {radius:.2f} mm"
            for radius, marked in self._marked(prediction)
        ]

    def cells(self, prediction: Prediction) -> list[list[str]]:
        """Coverage, radius in mm, and whether to look at it, for each landmark."""
        coverage = f"{self.calibration.settings.coverage:g}"
        return [
            [coverage, f"{radius:.4f}", "yes" if marked else "no"]
            for radius, marked in self._marked(prediction)
        ]

    def _marked(self, prediction: Prediction) -> list[tuple[float, bool]]:
        radius_mm = self.calibration.radius_mm(prediction.spread_mm)
        marks = self.calibration.for_review(radius_mm, self.review_above_mm) | prediction.outside
        return list(zip(radius_mm.tolist(), marks.tolist(), strict=True))

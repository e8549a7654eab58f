"""How unsure predictions are without any truth: against what is usual for each landmark."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.predictor import Prediction

UNUSUAL = 2.0  # times what is usual for the landmark; as `Calibration.for_review`


@dataclass(frozen=True, eq=False)
class Reviewed:
    """What is kept of a prediction: numbers, no volume.

    Attributes:
        name: Of its outputs.
        path: The image.
        positions_world: Landmarks, RAS+ mm.
        spread_mm: Of the starts, or of starts and folds.
        radius_mm: Of the error bars, none without them.
        outside: Which landmarks lie outside the volume.
        seconds: That it took.
    """

    name: str
    path: Path
    positions_world: Float64[np.ndarray, "L 3"]
    spread_mm: Float64[np.ndarray, " L"]
    radius_mm: Float64[np.ndarray, " L"] | None
    outside: Bool[np.ndarray, " L"]
    seconds: float = 0.0

    @classmethod
    def of(cls, name: str, path: Path, prediction: Prediction) -> "Reviewed":
        """What is kept of a prediction.

        Args:
            name: Of its outputs.
            path: The image.
            prediction: The prediction.
        """
        arrays = (prediction.positions_world, prediction.spread_mm, prediction.radius_mm)
        return cls(name, path, *arrays, prediction.outside, prediction.seconds)

    @property
    def doubt_mm(self) -> Float64[np.ndarray, " L"]:
        """How unsure each landmark is: its radius, else its spread; infinite outside the volume."""
        known_mm = self.spread_mm if self.radius_mm is None else self.radius_mm
        return np.where(self.outside, np.inf, known_mm)


@dataclass(frozen=True, eq=False)
class Doubts:
    """How unsure the landmarks of each volume are, against what is usual.

    Attributes:
        ratio: Radius or spread of each, divided by what is usual for the landmark.
        flagged: Which a person should look at.
    """

    ratio: Float64[np.ndarray, "N L"]
    flagged: Bool[np.ndarray, "N L"]

    @property
    def order(self) -> list[int]:
        """Volumes, the most doubtful first: by their most doubtful landmark."""
        return np.argsort(-self.ratio.max(axis=1), kind="stable").tolist()


def doubts_of(doubt_mm: Float64[np.ndarray, "N L"], error_bars: ErrorBars | None) -> Doubts:
    """Doubts of volumes, by the calibration of their run or by one another.

    Args:
        doubt_mm: Radii where there are error bars, else spreads.
        error_bars: Of the run; without them the median over the volumes is what is usual.
    """
    if error_bars is None:
        usual_mm = np.nanmedian(
            np.where(np.isfinite(doubt_mm).any(axis=0), doubt_mm, np.inf), axis=0
        )
    else:
        usual_mm = error_bars.calibration.median_radius_mm
    # What is not finite is of a network that has gone astray: nothing is more doubtful.
    known, ratio = np.isfinite(doubt_mm), np.full_like(doubt_mm, np.inf)
    np.divide(doubt_mm, np.maximum(usual_mm, 1e-9), out=ratio, where=known)
    if error_bars is None:
        return Doubts(ratio, ratio > UNUSUAL)
    above_mm = error_bars.review_above_mm
    flagged = [error_bars.calibration.for_review(one, above_mm) for one in doubt_mm]
    return Doubts(ratio, np.array(flagged) | np.isinf(ratio))

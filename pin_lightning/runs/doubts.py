"""Doubt about predictions without any truth, relative to what is usual for each landmark."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.predictor import Prediction

UNUSUAL = 2.0  # flagged from this ratio on, as by `Calibration.for_review`


@dataclass(frozen=True, eq=False)
class Reviewed:
    """The numbers of a prediction, as in `Prediction`, with its image and the name of its outputs.

    No volume is kept.
    """

    name: str
    path: Path
    positions_world: Float64[np.ndarray, "L 3"]
    spread_mm: Float64[np.ndarray, " L"]
    radius_mm: Float64[np.ndarray, " L"] | None
    outside: Bool[np.ndarray, " L"]
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, path: Path, prediction: Prediction, remarks: tuple[str, ...] = ()
    ) -> "Reviewed":
        """Keep the numbers of a prediction, and remarks on its volume."""
        arrays = (prediction.positions_world, prediction.spread_mm, prediction.radius_mm)
        return cls(name, path, *arrays, prediction.outside, prediction.seconds, remarks)

    @property
    def doubt_mm(self) -> Float64[np.ndarray, " L"]:
        """Radius of each landmark, else its spread; infinite outside the volume."""
        known_mm = self.spread_mm if self.radius_mm is None else self.radius_mm
        return np.where(self.outside, np.inf, known_mm)


@dataclass(frozen=True, eq=False)
class Doubts:
    """Doubt about the landmarks of each volume.

    Attributes:
        ratio: Radius or spread, divided by what is usual for the landmark.
        flagged: Landmarks that a person should look at.
    """

    ratio: Float64[np.ndarray, "N L"]
    flagged: Bool[np.ndarray, "N L"]

    @property
    def order(self) -> list[int]:
        """Indices of volumes by their most doubtful landmark, the most doubtful first."""
        return np.argsort(-self.ratio.max(axis=1), kind="stable").tolist()


def doubts_of(doubt_mm: Float64[np.ndarray, "N L"], error_bars: ErrorBars | None) -> Doubts:
    """Compare radii with the calibration's, or spreads with their medians over the volumes."""
    known, ratio = np.isfinite(doubt_mm), np.full_like(doubt_mm, np.inf)  # not finite: the worst
    if error_bars is None:
        usual_mm = np.nanmedian(np.where(known.any(axis=0), doubt_mm, np.inf), axis=0)
    else:
        usual_mm = error_bars.calibration.median_radius_mm
    np.divide(doubt_mm, np.maximum(usual_mm, 1e-9), out=ratio, where=known)
    if error_bars is None:
        return Doubts(ratio, ratio > UNUSUAL)
    above_mm = error_bars.review_above_mm
    flagged = [error_bars.calibration.for_review(one, above_mm) for one in doubt_mm]
    return Doubts(ratio, np.array(flagged) | np.isinf(ratio))

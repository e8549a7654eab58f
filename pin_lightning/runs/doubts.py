"""Doubt about predictions without any truth, relative to what is usual for each landmark."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.locator import Located
from pin_lightning.runs.predictor import Prediction

UNUSUAL = 2.0  # flagged from this ratio on, as by `Calibration.for_review`


@dataclass(frozen=True)
class ReviewedPose:
    """How sure a found pose is.

    Attributes:
        score: Its score: the lower, the surer.
        lead: Score of the second best pose minus its own; infinite without a second.
        uncertain: Whether it may be wrong.
        to_world: Anatomical mm to world RAS+ mm, row by row; None if it is not known.
    """

    score: float
    lead: float
    uncertain: bool
    to_world: Sequence[Sequence[float]] | None = None

    @classmethod
    def of(cls, located: Located | None) -> "ReviewedPose | None":
        """Keep the numbers of a pose, if there is one."""
        if located is None:
            return None
        to_world = None if located.to_world is None else located.to_world.tolist()
        return cls(located.found.score, located.found.lead, located.uncertain, to_world)

    def __str__(self) -> str:
        """Such as ``score 0.41, lead 1.20``."""
        lead = f", lead {self.lead:.2f}" if np.isfinite(self.lead) else ""
        return f"score {self.score:.2f}{lead}"


@dataclass(frozen=True, eq=False)
class Reviewed:
    """The numbers of a prediction, as in `Prediction`, with its file and the name of its outputs.

    No volume is kept. `near_border` is None where no landmark is; `pose` without a pose stage.
    """

    name: str
    file: str
    positions_world: Float64[np.ndarray, "L 3"]
    spread_mm: Float64[np.ndarray, " L"]
    radius_mm: Float64[np.ndarray, " L"] | None
    outside: Bool[np.ndarray, " L"]
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    near_border: Bool[np.ndarray, " L"] | None = None
    pose: ReviewedPose | None = None

    @classmethod
    def of(
        cls, name: str, file: str, prediction: Prediction, remarks: tuple[str, ...] = ()
    ) -> "Reviewed":
        """Keep the numbers of a prediction, and remarks on its volume."""
        arrays = (prediction.positions_world, prediction.spread_mm, prediction.radius_mm)
        return cls(
            *(name, file, *arrays, prediction.outside, prediction.seconds, remarks),
            near_border=prediction.near_border,
            pose=ReviewedPose.of(prediction.pose),
        )

    @property
    def uncertain(self) -> bool:
        """Whether the pose is uncertain."""
        return self.pose is not None and self.pose.uncertain

    @property
    def marked(self) -> Bool[np.ndarray, " L"]:
        """Landmarks to look at whatever their spread."""
        near = np.zeros_like(self.outside) if self.near_border is None else self.near_border
        return self.outside | near | self.uncertain

    @property
    def reasons(self) -> list[list[str]]:
        """Why each landmark is marked, in words."""
        near = np.zeros_like(self.outside) if self.near_border is None else self.near_border
        pose = ["pose uncertain"] if self.uncertain else []
        return [
            [*pose, *["outside the scan"] * out, *["near the border of the scan"] * close]
            for out, close in zip(self.outside.tolist(), near.tolist(), strict=True)
        ]

    @property
    def doubt_mm(self) -> Float64[np.ndarray, " L"]:
        """Radius of each landmark, else its spread; infinite where these say nothing.

        That is outside the scan, and where the pose is uncertain.
        """
        known_mm = self.spread_mm if self.radius_mm is None else self.radius_mm
        return np.where(self.outside | self.uncertain, np.inf, known_mm)


@dataclass(frozen=True, eq=False)
class Doubts:
    """Doubt about the landmarks of a volume.

    Attributes:
        ratio: Radius or spread, divided by what is usual for the landmark.
        flagged: Landmarks that a person should look at.
        pose_score: Score of the pose; 0 without one.
    """

    ratio: Float64[np.ndarray, " L"]
    flagged: Bool[np.ndarray, " L"]
    pose_score: float = 0.0

    @property
    def rank(self) -> tuple[bool, float]:
        """Larger, the more doubtful: by the most doubtful landmark.

        Above all are volumes in which nothing is known of any landmark, by the score of the pose.
        """
        if np.isinf(self.ratio).all():
            return True, self.pose_score
        return False, float(self.ratio.max())


def usual_of(doubt_mm: Float64[np.ndarray, "N L"]) -> Float64[np.ndarray, " L"]:
    """Median radius or spread of each landmark over volumes; infinite where none is known."""
    known = np.isfinite(doubt_mm)
    finite_mm = np.where(known, doubt_mm, np.nan)
    return np.nanmedian(np.where(known.any(axis=0), finite_mm, np.inf), axis=0)


def doubts_of(
    one: Reviewed, usual_mm: Float64[np.ndarray, " L"], error_bars: ErrorBars | None
) -> Doubts:
    """Compare the radii of a volume with the calibration's, or its spreads with the usual ones.

    Args:
        one: The volume.
        usual_mm: Spreads as of `usual_of`; of no meaning with error bars.
        error_bars: Error bars of the run, if it has any.
    """
    doubt_mm, marked = one.doubt_mm, one.marked
    score = 0.0 if one.pose is None else one.pose.score
    known, ratio = np.isfinite(doubt_mm), np.full_like(doubt_mm, np.inf)  # not finite: the worst
    if error_bars is not None:
        usual_mm = error_bars.calibration.median_radius_mm
    np.divide(doubt_mm, np.maximum(usual_mm, 1e-9), out=ratio, where=known)
    if error_bars is None:
        return Doubts(ratio, (ratio > UNUSUAL) | marked, score)
    flagged = error_bars.calibration.for_review(doubt_mm, error_bars.review_above_mm)
    return Doubts(ratio, flagged | np.isinf(ratio) | marked, score)

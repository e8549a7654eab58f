"""Where working volumes lie in new scans: along their axes, or where the pose stage finds them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, UInt8

from pin_lightning.common.geometry import Grid
from pin_lightning.data.anatomy import posed_affine
from pin_lightning.data.preprocessing import OriginalImage
from pin_lightning.data.scan_levels import ScanLevels, scan_levels
from pin_lightning.method.pose.ensemble import PoseEnsemble
from pin_lightning.method.pose.finder import FoundPose
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.method.pose.path import PosePath
from pin_lightning.runs.pose_stage import PoseStage

MOST_TRACED = 24  # starts of a trace


@dataclass(frozen=True, eq=False)
class Located:
    """A pose that was found in a scan.

    Attributes:
        affine: Working ijk to world RAS+ mm.
        found: The pose, from anatomical mm to scan mm, with its score and that of the second best.
        uncertain: Whether the pose may be wrong, by the limits of the training.
        seconds: Time to find it.
        to_world: Anatomical mm to world RAS+ mm; None if it is not known.
    """

    affine: Float64[np.ndarray, "4 4"]
    found: FoundPose
    uncertain: bool
    seconds: float
    to_world: Float64[np.ndarray, "4 4"] | None = None


@dataclass(frozen=True, eq=False)
class PoseTrace:
    """How a pose was found in a scan.

    Attributes:
        volume: The scan at the finer spacing of the pose stage.
        spacing_mm: That spacing.
        to_world: Scan mm to world RAS+ mm.
        names: Landmarks that the pose stage looks at.
        path_mm: Their places in scan mm by iteration, start and landmark: the found pose is the
            first start; NaN from where a start was left behind.
    """

    volume: UInt8[np.ndarray, "X Y Z"]
    spacing_mm: float
    to_world: Float64[np.ndarray, "4 4"]
    names: tuple[str, ...]
    path_mm: Float64[np.ndarray, "T1 S l 3"]


class Locator:
    """Finds where the working volume lies in a scan.

    Args:
        stages: Trained pose stages: one, or those of folds, which have the frame in common.
        grid: Working grid in the anatomical frame.
        device: Device that computes.
    """

    def __init__(
        self,
        stages: Sequence[PoseStage],
        grid: Grid,
        device: torch.device,
    ) -> None:
        self.ensemble = PoseEnsemble([one.finder for one in stages]).eval().to(device)
        for one in self.ensemble.members:
            one.choose_dtype(device)
        limits = [one.limits for one in stages]
        score, lead = np.mean([(one.score, one.lead) for one in limits], axis=0)
        self.limits = PoseLimits(float(score), float(lead))
        self.anatomy = stages[0].anatomy
        self.grid = grid

    def locate(self, image: OriginalImage) -> Located:
        """Find the pose of the anatomy in an image.

        Raises:
            ValueError: The image is too large.
        """
        began = time.perf_counter()
        levels = self._levels(image)
        found = self.ensemble(levels.levels)[0]
        affine = posed_affine(found.pose, levels.to_world, self.grid)
        uncertain = self.limits.is_uncertain(found)
        to_world = levels.to_world @ found.pose.matrix
        return Located(affine, found, uncertain, time.perf_counter() - began, to_world)

    def trace(self, image: OriginalImage) -> PoseTrace:
        """Find the pose again and keep the way there; of several stages, that of the first.

        Raises:
            ValueError: The image is too large.
        """
        levels, finder, path = self._levels(image), self.ensemble.members[0], PosePath()
        finder(levels.levels, path)
        chosen = finder.chosen_.tolist()
        return PoseTrace(
            volume=levels.levels[0].numpy(),
            spacing_mm=finder.spacings_mm[0],
            to_world=levels.to_world,
            names=tuple(self.anatomy.names[index] for index in chosen),
            path_mm=path.landmarks_mm(finder.shape_mm, MOST_TRACED).double().numpy(),
        )

    def _levels(self, image: OriginalImage) -> ScanLevels:
        spacings_mm = self.ensemble.members[0].spacings_mm
        return scan_levels(image.seen, image.affine, image.window, spacings_mm)

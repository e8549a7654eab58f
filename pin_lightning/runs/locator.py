"""Where working volumes lie in new scans: along their axes, or where the pose stage finds them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from pin_lightning.common.geometry import Grid
from pin_lightning.data.anatomy import posed_affine
from pin_lightning.data.preprocessing import OriginalImage
from pin_lightning.data.scan_levels import scan_levels
from pin_lightning.method.pose.ensemble import PoseEnsemble
from pin_lightning.method.pose.finder import FoundPose
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.runs.pose_stage import PoseStage


@dataclass(frozen=True, eq=False)
class Located:
    """A pose that was found in a scan.

    Attributes:
        affine: Working ijk to world RAS+ mm.
        found: The pose, from anatomical mm to scan mm, with its score and that of the second best.
        uncertain: Whether the pose may be wrong, by the limits of the training.
        seconds: Time to find it.
    """

    affine: Float64[np.ndarray, "4 4"]
    found: FoundPose
    uncertain: bool
    seconds: float


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
        spacings_mm = self.ensemble.members[0].spacings_mm
        levels = scan_levels(image.voxels, image.affine, image.window, spacings_mm)
        found = self.ensemble(levels.levels)[0]
        affine = posed_affine(found.pose, levels.to_world, self.grid)
        uncertain = self.limits.is_uncertain(found)
        return Located(affine, found, uncertain, time.perf_counter() - began)

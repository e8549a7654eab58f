"""Pose finders of several trainings: the pose of all."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from pin_lightning.common.alignment import Pose, nearest_rotation
from pin_lightning.common.types import Tensor, UInt8
from pin_lightning.method.pose.finder import FoundPose, PoseFinder

STEPS = 4  # of the others, from the poses that the first found
SEARCHED = 2  # of these poses


class PoseEnsemble(nn.Module):
    """Finders of the same landmarks: the first searches, all refine what it found.

    The pose is the mean of theirs; scores are means, so that a pose is sure if all are.

    Args:
        finders: Trained finders, for example of the folds of a cross-validation.

    Raises:
        ValueError: They look at scans of other spacings, or score poses otherwise.
    """

    def __init__(self, finders: Sequence[PoseFinder]) -> None:
        super().__init__()
        kinds = {
            (one.spacings_mm, one.largest_scale > 1, len(one.mean_mm_), one.network.has_evidence)
            for one in finders
        }
        if len(kinds) != 1:
            raise ValueError(f"pose: {len(finders)} stages of {len(kinds)} kinds; give one kind")
        self.finders = nn.ModuleList(finders)

    @property
    def members(self) -> list[PoseFinder]:
        """The finders."""
        return [one for one in self.finders if isinstance(one, PoseFinder)]

    @torch.no_grad()
    def forward(self, levels: Sequence[UInt8[Tensor, "_ _ _"]]) -> list[FoundPose]:
        """Find the pose in one scan, as `PoseFinder`."""
        first, *others = self.members
        found = first(levels)
        if not others:
            return found
        candidates = [[one] for one in found[:SEARCHED]]
        for finder in others:
            for own, one in zip(candidates, finder.refined(levels, found[:SEARCHED]), strict=True):
                own.append(one)
        means = [_mean(own) for own in candidates]
        scores = [*(score for _, score in means), float("inf")]
        order = np.argsort(scores[:-1], kind="stable")
        best = [means[index] for index in order.tolist()]
        second = best[1][1] if len(best) > 1 else float("inf")
        rest = [FoundPose(pose, score, best[0][1]) for pose, score in best[1:]]
        return [FoundPose(best[0][0], best[0][1], second), *rest]


def _mean(found: Sequence[FoundPose]) -> tuple[Pose, float]:
    rotation = nearest_rotation(np.mean([one.pose.rotation for one in found], axis=0))
    shift_mm = np.mean([one.pose.shift_mm for one in found], axis=0)
    scale = float(np.exp(np.mean([np.log(one.pose.scale) for one in found])))
    return Pose(rotation, shift_mm, scale), float(np.mean([one.score for one in found]))

"""Paths of the starts of a pose search, for pictures; recorded only when asked."""

import numpy as np
import torch

from pin_lightning.common.types import Float, Int, Tensor
from pin_lightning.method.pose.rigid import Poses


class PosePath:
    """Records the poses of all starts as a search moves them and leaves most of them behind.

    Attributes:
        poses: Poses after each iteration, the starts first, of those that were still kept.
        kept: Which starts these are, by their place among the first.
    """

    def __init__(self) -> None:
        self.poses: list[Poses] = []
        self.kept: list[Int[Tensor, " N"]] = []

    def add(self, poses: Poses) -> None:
        """Record where the poses are now."""
        first = torch.arange(len(poses.linear), device=poses.linear.device)
        self.kept.append(self.kept[-1] if self.kept else first)
        self.poses.append(poses)

    def keep(self, which: Int[Tensor, " n"]) -> None:
        """Go on with some of the poses, in another order."""
        self.kept[-1] = self.kept[-1][which]
        self.poses[-1] = self.poses[-1].take(which)

    def landmarks_mm(self, shape_mm: Float[Tensor, "L 3"], most: int) -> Float[Tensor, "T1 S L 3"]:
        """Landmarks of a shape placed by the poses, NaN from where a start was left behind.

        Args:
            shape_mm: The shape.
            most: Starts at most: those kept to the end, the best first, then evenly spaced others.
        """
        last = self.kept[-1].tolist()[:most]
        others = [one for one in range(len(self.kept[0])) if one not in last]
        spaced = np.linspace(0, len(others) - 1, min(most - len(last), len(others)))
        shown = torch.tensor([*last, *(others[round(one)] for one in spaced)])
        result = torch.full((len(self.poses), len(shown), len(shape_mm), 3), torch.nan)
        for step, (poses, kept) in enumerate(zip(self.poses, self.kept, strict=True)):
            same = kept.cpu() == shown[:, None]
            there, place = same.any(dim=1), same.int().argmax(dim=1)
            result[step, there] = poses.place(shape_mm).cpu()[place[there]]
        return result

"""Paths of the starts of a pose search, for pictures; recorded only when asked."""

import numpy as np
import torch

from pin_lightning.common.types import Float, Int, Tensor
from pin_lightning.method.pose.rigid import Poses


class PosePath:
    """Records the poses of all starts as a search moves them and leaves most of them behind.

    Attributes:
        poses: Poses after each iteration, the starts first, of those that were still kept.
        kept: Which starts these are, by their place among the first; behind them are branches.
    """

    def __init__(self) -> None:
        self.poses: list[Poses] = []
        self.kept: list[Int[Tensor, " N"]] = []
        # Of each start and branch: where it comes from, and from which iteration on it is one.
        self._source: list[int] = []
        self._since: list[int] = []

    def add(self, poses: Poses) -> None:
        """Record where the poses are now."""
        if not self.poses:
            self._source = list(range(len(poses.linear)))
            self._since = [0] * len(poses.linear)
        first = torch.arange(len(poses.linear), device=poses.linear.device)
        self.kept.append(self.kept[-1] if self.kept else first)
        self.poses.append(poses)

    def branch(self, poses: Poses, count: int) -> None:
        """Go on with further poses, too: as many for each of the first ones, behind all before."""
        before = self.kept[-1]
        new = len(poses.linear) - len(before)
        sources = before[:count].repeat_interleave(new // min(count, len(before)))
        first = len(self._source)
        self._source += sources.tolist()
        self._since += [len(self.poses)] * new
        self.kept[-1] = torch.cat([before, torch.arange(first, first + new, device=before.device)])
        self.poses[-1] = poses

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
        source, since = torch.tensor(self._source), torch.tensor(self._since)
        for step, (poses, kept) in enumerate(zip(self.poses, self.kept, strict=True)):
            seen = shown
            while (since[seen] > step).any():  # before it branched off
                seen = torch.where(since[seen] > step, source[seen], seen)
            same = kept.cpu() == seen[:, None]
            there, place = same.any(dim=1), same.int().argmax(dim=1)
            result[step, there] = poses.place(shape_mm).cpu()[place[there]]
        return result

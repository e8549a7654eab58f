"""Paths of the starts of a pose search, for pictures; recorded only when asked."""

import numpy as np
import torch

from pin_lightning.common.types import Float, Int, Tensor
from pin_lightning.method.pose.rigid import Poses


class PosePath:
    """Records the poses of all starts as a search moves them and leaves most of them behind.

    Attributes:
        poses: Poses after each iteration, the starts first.
        there: Which starts these are, by their place among the first; behind them are branches.
    """

    def __init__(self) -> None:
        self.poses: list[Poses] = []
        self.there: list[Int[Tensor, " N"]] = []
        self._going = torch.zeros(0, dtype=torch.long)  # those that the next iteration moves
        # Of each start and branch: where it comes from, and from which iteration on it is one.
        self._source: list[int] = []
        self._since: list[int] = []

    def add(self, poses: Poses) -> None:
        """Record where the poses are now."""
        if not self.poses:
            self._source = list(range(len(poses.linear)))
            self._since = [0] * len(poses.linear)
            self._going = torch.arange(len(poses.linear), device=poses.linear.device)
        self.there.append(self._going)
        self.poses.append(poses)

    def branch(self, poses: Poses, count: int) -> None:
        """Go on with further poses, too: as many for each of the first ones, behind all before."""
        new = len(poses.linear) - len(self._going)
        sources = self._going[:count].repeat_interleave(new // min(count, len(self._going)))
        first = len(self._source)
        self._source += sources.tolist()
        self._since += [len(self.poses)] * new
        more = torch.arange(first, first + new, device=self._going.device)
        self._going = torch.cat([self._going, more])

    def keep(self, which: Int[Tensor, " n"]) -> None:
        """Go on with some of the poses, in another order."""
        self._going = self._going[which]

    def landmarks_mm(self, shape_mm: Float[Tensor, "L 3"], most: int) -> Float[Tensor, "T1 S L 3"]:
        """Landmarks of a shape placed by the poses, NaN after a start was left behind.

        Args:
            shape_mm: The shape.
            most: Starts at most: those kept to the end, the best first, then evenly spaced others.
        """
        last = self._going.tolist()[:most]
        others = [one for one in range(len(self.there[0])) if one not in last]
        spaced = np.linspace(0, len(others) - 1, min(most - len(last), len(others)))
        shown = torch.tensor([*last, *(others[round(one)] for one in spaced)])
        result = torch.full((len(self.poses), len(shown), len(shape_mm), 3), torch.nan)
        source, since = torch.tensor(self._source), torch.tensor(self._since)
        for step, (poses, going) in enumerate(zip(self.poses, self.there, strict=True)):
            seen = shown
            while (since[seen] > step).any():  # before it branched off
                seen = torch.where(since[seen] > step, source[seen], seen)
            same = going.cpu() == seen[:, None]
            found, place = same.any(dim=1), same.int().argmax(dim=1)
            result[step, found] = poses.place(shape_mm).cpu()[place[found]]
        return result

"""Rounds of the pose search."""

from typing import NamedTuple

import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.pose.rigid import Poses, half_turns, turned


class Round(NamedTuple):
    """A round of the search: poses move, then the best distinct ones are kept.

    Attributes:
        landmarks: Landmarks that are looked at.
        steps: Iterations.
        kept: Poses kept.
        turned_over: Of so many poses, the best ones, half turns about the principal axes of the
            shape are tried, too, where any orientation may come: from a pose that shows a nearly
            symmetric anatomy turned over, no step leads to the right one.
        rescored: Score poses by the evidence where they ended, and compute in float32, so that all
            devices agree; else by the log expected error where they were before the last step:
            that tells how near a pose comes, too, and costs a look at the scan less.
    """

    landmarks: int
    steps: int
    kept: int
    turned_over: int = 0
    rescored: bool = False


ROUNDS = (
    Round(4, 1, 64),
    Round(8, 2, 8),
    Round(16, 3, 4, turned_over=4),
    Round(16, 4, 4, rescored=True),
)


def search_rounds(rotations: str) -> tuple[Round, ...]:
    """Rounds of a search for ``any`` orientation, or for ``upright`` scans: none is turned over."""
    return ROUNDS if rotations == "any" else tuple(one._replace(turned_over=0) for one in ROUNDS)


def turned_over(poses: Poses, shape_mm: Float[Tensor, "L 3"], count: int) -> Poses:
    """Add three half turns of each of the first poses, about the centre of the shape.

    Returns:
        The poses, and behind them the half turns of the first, of the second, and so on.
    """
    turns, centre = half_turns(shape_mm), shape_mm.mean(dim=0)
    few = poses.take(slice(0, count))
    # Products and sums, as in `turned`: the precision of a matrix product may be lowered.
    linear = (few.linear[:, None, :, :, None] * turns[:, None]).sum(-2).flatten(0, 1)
    moved_mm = centre - turned(turns, centre.expand(3, 1, -1))[:, 0]
    offsets_mm = turned(few.linear, moved_mm.expand(len(few.linear), -1, -1))
    shift_mm = (few.shift_mm[:, None] + offsets_mm).flatten(0, 1)
    return Poses(torch.cat([poses.linear, linear]), torch.cat([poses.shift_mm, shift_mm]))

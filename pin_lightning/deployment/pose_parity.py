"""Parity check of the ONNX file of a pose stage with PyTorch."""

from collections.abc import Sequence
from typing import TypeAlias

import torch

from pin_lightning.common.types import Bool, Float, Tensor
from pin_lightning.deployment.parity import SHAKEN_COPIES, mostly, session, shaken
from pin_lightning.deployment.pose_graph import PoseStep, pose_inputs
from pin_lightning.deployment.pose_scans import Asked

Result: TypeAlias = Sequence[Tensor]  # what a step gives: linear, shift_mm, log_error and score


@torch.no_grad()
def check_pose(
    step: PoseStep, model: bytes, scans: Sequence[Asked], voxels: float
) -> tuple[float, int]:
    """Compare a step of the search with PyTorch, pose by pose.

    Patches are of nearest voxels: rounding can choose the neighbour, of the centre, too. So a pose
    may differ if it also does in PyTorch once every weight is changed by about a millionth.

    Args:
        step: The step.
        model: Its file.
        scans: Scans and poses.
        voxels: Largest distance between landmarks placed by the two moved poses, in voxels of the
            finest scan, and largest difference of scores, relative to them where they exceed 1.

    Returns:
        The largest distance in mm of the poses that agree, and how many poses rounding alone moved
        elsewhere.

    Raises:
        ValueError: Poses differ by more, or most do.
    """
    running, generator = session(model), torch.Generator().manual_seed(0)
    all_mm, differing = [], []
    for one in scans:
        arguments = _arguments(step, one)
        expected = step(*arguments)
        flat = (*arguments[:3], *one.levels)
        names = pose_inputs(len(one.levels))
        feed = {name: value.numpy() for name, value in zip(names, flat, strict=True)}
        found = [torch.from_numpy(value) for value in running.run(None, feed)]
        differ = _differ(step, found, expected, voxels)
        unexplained = differ
        for _ in range(SHAKEN_COPIES):
            if not unexplained.any():
                break
            copied = shaken(step, generator)(*arguments)
            unexplained = unexplained & ~_differ(step, copied, expected, voxels)
        if unexplained.any():
            raise _refusal(int(unexplained.sum()), len(differ), voxels)
        all_mm.append(_apart_mm(step, found, expected)[~differ])
        differing.append(differ)
    every = torch.cat(differing)
    if mostly(every[None]):
        raise _refusal(int(every.sum()), len(every), voxels)
    return float(torch.cat(all_mm).max()), int(every.sum())


def _arguments(step: PoseStep, one: Asked) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    landmarks = torch.arange(len(step.finder.chosen_))
    return one.poses.linear, one.poses.shift_mm, landmarks, list(one.levels)


def _apart_mm(step: PoseStep, found: Result, expected: Result) -> Float[Tensor, " S"]:
    shape_mm = step.finder.shape_mm
    placed = [
        torch.einsum("sij,lj->sli", linear, shape_mm) + shift_mm[:, None]
        for linear, shift_mm, *_ in (found, expected)
    ]
    return (placed[0] - placed[1]).norm(dim=-1).amax(dim=-1)


def _differ(step: PoseStep, found: Result, expected: Result, voxels: float) -> Bool[Tensor, " S"]:
    near = _apart_mm(step, found, expected) <= voxels * step.finder.spacings_mm[0]
    pairs = zip(found[2:], expected[2:], strict=True)
    alike = [(one - other).abs() <= voxels * (1 + other.abs()) for one, other in pairs]
    return ~(near & alike[0] & alike[1])  # what is NaN differs


def _refusal(count: int, total: int, voxels: float) -> ValueError:
    return ValueError(
        f"pose: ONNX Runtime and PyTorch differ at {count} of {total} poses "
        f"(tolerance.voxels={voxels:g}); nothing is written"
    )

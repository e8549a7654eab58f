"""Export of one step of the pose search as an ONNX graph."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pin_lightning.common.types import Float, Int, Tensor, UInt8
from pin_lightning.deployment.graphs import model_of
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.rigid import Poses
from pin_lightning.method.pose.scans import Scans

POSE_OUTPUTS = ("moved_linear", "moved_shift_mm", "log_error", "score")
_EXAMPLE = (40, 41, 42)  # voxels of the finest scan that the export follows through


class PoseStep(nn.Module):
    """One step of the search: poses are moved, and scored where they were, in float32."""

    def __init__(self, finder: PoseFinder) -> None:
        super().__init__()
        self.finder = finder

    def forward(
        self,
        linear: Float[Tensor, "S 3 3"],
        shift_mm: Float[Tensor, "S 3"],
        landmarks: Int[Tensor, " n"],
        levels: Sequence[UInt8[Tensor, "_ _ _"]],
    ) -> tuple[
        Float[Tensor, "S 3 3"], Float[Tensor, "S 3"], Float[Tensor, " S"], Float[Tensor, " S"]
    ]:
        """Move poses.

        Args:
            linear: Rotations times scales.
            shift_mm: Shifts.
            landmarks: Which of the chosen landmarks are looked at.
            levels: The scan at each spacing, about the same centre.

        Returns:
            The moved poses; of those given, the mean log expected error, and the score.
        """
        finder = self.finder
        pairs = zip(levels, finder.spacings_mm, strict=True)
        scans = [_laid_out(level, spacing_mm, finder.border) for level, spacing_mm in pairs]
        poses = Poses(linear, shift_mm)
        placed_mm, said = finder.predicted_at_once(scans, poses, landmarks)
        moved = finder.fitted(placed_mm, said, landmarks)
        scores = said.log_error.mean(dim=1), -said.evidence.sum(dim=1)
        return moved.linear, moved.shift_mm, *scores


def pose_inputs(levels: int) -> tuple[str, ...]:
    """Names of the inputs of a step for scans at so many spacings.

    >>> pose_inputs(2)
    ('linear', 'shift_mm', 'landmarks', 'scan0', 'scan1')
    """
    return ("linear", "shift_mm", "landmarks", *(f"scan{level}" for level in range(levels)))


def pose_model(step: PoseStep, opset: int) -> Any:
    """Export a step of the search on the CPU as an ONNX model (`onnx.ModelProto`).

    Poses, landmarks and scans may have any number and size.

    Raises:
        ValueError: A part cannot be expressed in ONNX.
    """
    count = len(step.finder.spacings_mm)
    shapes = [tuple(side // (level + 1) for side in _EXAMPLE) for level in range(count)]
    levels = [torch.zeros(shape, dtype=torch.uint8) for shape in shapes]
    poses = (torch.eye(3).repeat(3, 1, 1), torch.zeros(3, 3))
    example = (*poses, torch.arange(2), levels)
    many, some = {0: torch.export.Dim("S")}, {0: torch.export.Dim("n")}
    sides = [
        {axis: torch.export.Dim(f"{name}{level}") for axis, name in enumerate("XYZ")}
        for level in range(count)
    ]
    sizes = (many, many, some, sides)
    return model_of(step.eval(), example, pose_inputs(count), POSE_OUTPUTS, sizes, opset)


def _laid_out(level: UInt8[Tensor, "X Y Z"], spacing_mm: float, border: int) -> Scans:
    """One scan with its border, as `Scans.of`, with sizes that a graph can vary."""
    padded = functional.pad(level, 6 * [border])
    size = torch.stack([torch.full((), side, dtype=torch.long) for side in padded.shape])
    first = torch.zeros(1, dtype=torch.long)
    return Scans(padded.flatten(), first, size[None], spacing_mm, border)

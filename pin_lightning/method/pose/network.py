"""Network of the pose stage: where each landmark is, how far off that may be, and if all fits."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

from pin_lightning.common.types import Float, Tensor, UInt8
from pin_lightning.method.networks import LandmarkNetwork

_INPUT_SCALE = 1 / 64  # of 8-bit voxels
LOG_ERROR_RANGE = (-5.0, 4.0)  # beyond, a landmark alone would decide about the pose


class PoseOutputs(NamedTuple):
    """What the network says of N poses.

    Attributes:
        displacement: Of each landmark, along the axes of the pose, in the unit of the stage.
        log_error: Log of its expected error.
        evidence: What its surroundings add to the log odds that the pose is right.
    """

    displacement: Float[Tensor, "N L 3"]
    log_error: Float[Tensor, "N L"]
    evidence: Float[Tensor, "N L"]


class PoseNetwork(LandmarkNetwork):
    """Displacement of each landmark, the log of its expected error, and evidence for the pose.

    A landmark alone can rarely tell a pose from one that is turned by half; their evidence adds up.

    Args:
        num_landmarks: Landmarks L of the pose stage.
        in_channels: Patch channels C of one landmark: three planes of each spacing.
        patch_side: Patch side P, odd.
        has_evidence: Whether evidence is an output of its own; else it is minus the log expected
            error, divided by the number of landmarks that are looked at.
    """

    def __init__(
        self, num_landmarks: int, in_channels: int, patch_side: int, has_evidence: bool = True
    ) -> None:
        super().__init__(num_landmarks, in_channels, 5 if has_evidence else 4, patch_side)
        self.has_evidence = has_evidence
        torch.nn.init.normal_(self.heads, std=0.02)

    def forward(
        self,
        patches: Float[Tensor, "N L C P P"],
        which: Sequence[int] | slice | Tensor = slice(None),
    ) -> PoseOutputs:
        """Outputs of the landmarks whose patches are given: all, or `which`."""
        outputs = self.outputs(patches, which).float()
        log_error = outputs[..., 3].clamp(*LOG_ERROR_RANGE)
        own = outputs[..., 4] if self.has_evidence else -log_error / log_error.shape[1]
        return PoseOutputs(outputs[..., :3], log_error, own)


def scaled(patches: UInt8[Tensor, "N L C P P"]) -> Float[Tensor, "N L C P P"]:
    """Input of the network, in the autocast precision."""
    kind = patches.device.type
    lower = torch.is_autocast_enabled(kind)
    return patches.to(torch.get_autocast_dtype(kind) if lower else torch.float32) * _INPUT_SCALE


def pose_loss(
    displacement: Float[Tensor, "N L 3"],
    log_error: Float[Tensor, "N L"],
    target: Float[Tensor, "N L 3"],
    known: Float[Tensor, "N L"],
) -> Float[Tensor, ""]:
    """Laplace likelihood of the distance from the truth: ``|e| / s + 1.5 log s``.

    Its minimum over s is at two thirds of the expected distance. Landmarks whose place is not known
    do not count.

    Args:
        displacement: Predicted, in the unit of the stage.
        log_error: Log of s.
        target: True displacement; any finite value where it is not known.
        known: 1 where it is, else 0.
    """
    distance = ((displacement - target).square().sum(-1) + 1e-4).sqrt()
    each = distance * torch.exp(-log_error) + 1.5 * log_error
    return (each * known).sum() / known.sum().clamp(min=1)


def evidence_loss(
    evidence: Float[Tensor, "N L"], is_right: Float[Tensor, " N"]
) -> Float[Tensor, ""]:
    """Cross entropy of whether poses are right, by the sum of the evidence of their landmarks."""
    return functional.binary_cross_entropy_with_logits(evidence.sum(dim=1), is_right)

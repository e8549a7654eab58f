"""Network of the pose stage: where each landmark is, and how far off that may be."""

from collections.abc import Sequence

import torch

from pin_lightning.common.types import Float, Tensor, UInt8
from pin_lightning.method.networks import LandmarkNetwork

_INPUT_SCALE = 1 / 64  # of 8-bit voxels
LOG_ERROR_RANGE = (-5.0, 4.0)  # beyond, a landmark alone would decide about the pose


class PoseNetwork(LandmarkNetwork):
    """Displacement of each landmark along the axes of the pose, and the log of its expected error.

    Args:
        num_landmarks: Landmarks L of the pose stage.
        in_channels: Patch channels C of one landmark: three planes of each spacing.
        patch_side: Patch side P, odd.
    """

    def __init__(self, num_landmarks: int, in_channels: int, patch_side: int) -> None:
        super().__init__(num_landmarks, in_channels, 4, patch_side)
        torch.nn.init.normal_(self.heads, std=0.02)

    def forward(
        self,
        patches: Float[Tensor, "N L C P P"],
        which: Sequence[int] | slice | Tensor = slice(None),
    ) -> tuple[Float[Tensor, "N L 3"], Float[Tensor, "N L"]]:
        """Displacement and log expected error, in the unit of the stage."""
        outputs = self.outputs(patches, which).float()
        return outputs[..., :3], outputs[..., 3].clamp(*LOG_ERROR_RANGE)


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

"""Training samples of the pose stage: poses near and far from the true one."""

import math
from dataclasses import dataclass

import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.pose.rigid import Poses, rotations_about
from pin_lightning.method.pose.scans import Box

NEAR_DEGREES = 2.0  # smallest usual rotation
# Of samples: near the truth; near a half turn; the rest are turned by any angle.
NEAR_SHARE, TURNED_SHARE = 0.6, 0.25
TURN_DEGREES = 35.0  # largest rotation away from a half turn
LARGEST = {"any": (60.0, 180.0), "upright": (30.0, 45.0)}  # degrees: of near samples, of others
SHIFT_SHARES = (1 / 200, 1 / 6)  # of the anatomy's extent: smallest and largest usual shift
SCALE_SD, STRETCH_SD = 0.06, 0.03
CUT_SHARE, MOST_CUT = 0.05, 0.8  # of sides that are cut away; the largest depth, of half the scan
GAIN_SD, OFFSET_SD, NOISE_SD = 0.3, 0.03, 0.1  # of patches as the network sees them


@dataclass(frozen=True)
class PoseSampling:
    """Draws poses around the true ones.

    Attributes:
        rotations: ``any`` or ``upright``: how far poses may be turned.
        extent_mm: Largest extent of the mean shape.
    """

    rotations: str
    extent_mm: float

    def draw(
        self, true: Poses, half_turns: Float[Tensor, "3 3 3"], generator: torch.Generator
    ) -> Poses:
        """Draw one pose for each true pose.

        Sizes and stretches along the axes vary, too, so that patches show shapes of other sizes.

        Args:
            true: True poses of N samples.
            half_turns: About the principal axes of the mean shape.
            generator: Source of the draws.
        """
        count = len(true.linear)
        turn = self._rotations(count, half_turns, generator)
        normal = torch.randn(count, 4, generator=generator)
        stretch = torch.exp(SCALE_SD * normal[:, :1] + STRETCH_SD * normal[:, 1:])
        linear = (true.linear @ turn) * stretch[:, None]
        low, high = SHIFT_SHARES
        size = torch.rand(count, 1, generator=generator) * math.log(high / low)
        shift = low * self.extent_mm * torch.exp(size)
        shift = shift * torch.randn(count, 3, generator=generator)
        return Poses(linear, true.shift_mm + shift)

    def _rotations(
        self, count: int, half_turns: Float[Tensor, "3 3 3"], generator: torch.Generator
    ) -> Float[Tensor, "N 3 3"]:
        largest, farthest = LARGEST[self.rotations]
        uniform = torch.rand(count, 3, generator=generator)
        near = NEAR_DEGREES * (largest / NEAR_DEGREES) ** uniform[:, 0]
        degrees = torch.where(uniform[:, 1] < NEAR_SHARE, near, farthest * uniform[:, 0])
        turned = (uniform[:, 1] > 1 - TURNED_SHARE) & (self.rotations == "any")
        degrees = torch.where(turned, TURN_DEGREES * uniform[:, 0], degrees)
        directions = torch.randn(count, 3, generator=generator)
        turn = rotations_about(directions, degrees)
        which = (3 * uniform[:, 2]).long().clamp(max=2)
        return torch.where(turned[:, None, None], half_turns[which] @ turn, turn)


def draw_box(half_mm: Float[Tensor, "N 3"], generator: torch.Generator) -> Box:
    """Draw which part of each scan is seen: some sides are cut away, as by a small field of view.

    Args:
        half_mm: Half the sides of the scans.
        generator: Source of the draws.
    """
    count = len(half_mm)
    cut = torch.rand(count, 3, 2, generator=generator) < CUT_SHARE
    depth = MOST_CUT * torch.rand(count, 3, 2, generator=generator) * half_mm[..., None]
    everywhere = torch.full_like(half_mm, torch.inf)
    low_mm = torch.where(cut[..., 0], depth[..., 0] - half_mm, -everywhere)
    high_mm = torch.where(cut[..., 1], half_mm - depth[..., 1], everywhere)
    return Box(low_mm, high_mm)


def noisy(
    patches: Float[Tensor, "n L C P P"], count: int, own: slice, generator: torch.Generator
) -> Float[Tensor, "n L C P P"]:
    """Add gain to each sample, an offset to each landmark, and noise to each voxel.

    Args:
        patches: Patches of the samples `own` of a step.
        count: Samples of the step in all processes, for which numbers are drawn.
        own: Those of this process.
        generator: Source of the draws.
    """
    shape = patches.shape[1:]
    gain = torch.randn(count, 1, 1, 1, 1, generator=generator)
    offset = torch.randn(count, shape[0], 1, 1, 1, generator=generator)
    noise = torch.randn(count, *shape, generator=generator)
    added = OFFSET_SD * offset[own] + NOISE_SD * noise[own]
    device = patches.device
    return patches * torch.exp(GAIN_SD * gain[own]).to(device) + added.to(device)

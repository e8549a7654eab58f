"""Heatmap regression: one heatmap of the whole volume for each landmark, and its peak.

A SpatialConfiguration-Net (Payer et al., "Integrating spatial configuration into heatmap regression
based CNNs for landmark localization", Medical Image Analysis 2019): a U-Net sees local appearance
and gives heatmaps that may have several peaks; a network of few, wide convolutions at a quarter of
the resolution sees where these lie relative to each other; the product keeps the right peak.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn

from pin_lightning.baselines.base import LearningSystem, Problem
from pin_lightning.baselines.checks import check
from pin_lightning.baselines.whole_volume import KERNEL, padded, strides_of, unet
from pin_lightning.common.types import Float, Num, Tensor
from pin_lightning.method.trajectory import Trajectory

CONTEXT_FACTOR = 4  # resolution of the spatial configuration
CONTEXT_LAYERS = 3
WINDOW_SDS = 3.0  # of a squared heatmap, within which its centroid is taken


class HeatmapRegression(LearningSystem):
    """A SpatialConfiguration-Net on volumes of a coarse spacing.

    Args:
        problem: What it is built for.
        most_voxels: Voxels of a volume, at most: they decide the spacing.
        sigma_voxels: SD of the Gaussian heatmaps, in voxels of that spacing.
        sigma_penalty: Weight of the squared SDs, relative to `sigma_voxels`, which are then learnt
            for each landmark (Payer et al., Eq. 2); 0 keeps them as they are.
        widths: Feature maps of the U-Net at full, half, quarter, ... resolution; the last two have
            the same.
        context_width: Feature maps of the spatial configuration.
        context_kernel: Side of its convolutions, odd.

    Raises:
        ValueError: A setting is wrong, or MONAI is not installed.
    """

    name: ClassVar[str] = "heatmap"
    needs: ClassVar[tuple[str, ...]] = ("monai",)
    largest: ClassVar[Mapping[str, float]] = {"most_voxels": 2**28}

    def __init__(
        self,
        problem: Problem,
        most_voxels: int = 30_000,
        sigma_voxels: float = 2.0,
        sigma_penalty: float = 0.0,
        widths: Sequence[int] = (8, 16, 32, 64),
        context_width: int = 32,
        context_kernel: int = 7,
    ) -> None:
        super().__init__(problem, most_voxels)
        check("sigma_voxels", sigma_voxels, 0.5 <= sigma_voxels <= 10, "0.5 to 10 voxels")
        check("sigma_penalty", sigma_penalty, sigma_penalty >= 0, "0 or more")
        enough = len(widths) >= 2 and min(widths) >= 1
        check("widths", list(widths), enough, "two or more widths of at least 1")
        check("context_width", context_width, context_width >= 1, "at least 1")
        odd = context_kernel >= 1 and context_kernel % 2 == 1
        check("context_kernel", context_kernel, odd, "an odd number of voxels")
        self.sigma_voxels = sigma_voxels
        self.sigma_penalty = sigma_penalty
        landmarks = problem.num_landmarks
        self.network = SpatialConfigurationNet(landmarks, widths, context_width, context_kernel)
        learnt = sigma_penalty > 0
        self.log_sigma = nn.Parameter(torch.zeros(landmarks), requires_grad=learnt)

    def training_loss(
        self,
        volumes: Num[Tensor, "B X Y Z"],
        landmarks_mm: Float[Tensor, "B L 3"],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Squared difference from the target heatmaps of the landmarks that are known.

        It is a share of the squared target itself, so that it does not depend on the volume's size.
        """
        known = torch.isfinite(landmarks_mm).all(dim=-1)
        centres_ijk = self.input_grid.mm_to_ijk(torch.where(known[..., None], landmarks_mm, 0.0))
        heatmaps = self.network(volumes).float()
        sigma = self.sigma_voxels * self.log_sigma.exp()
        target = gaussians(centres_ijk, sigma, heatmaps.shape[2:])
        # Narrower ones are higher: of equal mass, so that narrow ones cost more where they miss.
        target = target * (-3 * self.log_sigma).exp()[:, None, None, None]
        mass = math.pi**1.5 * self.sigma_voxels**3  # of a squared Gaussian of height 1
        missed = (heatmaps - target).square().sum(dim=(2, 3, 4)) / mass
        losses = {"heatmap_loss": (missed * known).sum() / known.sum().clamp(min=1)}
        if self.sigma_penalty > 0:
            losses["sigma_loss"] = self.sigma_penalty * (2 * self.log_sigma).exp().mean()
        return losses

    def locate(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Find the peaks, volume by volume: heatmaps of many landmarks are large."""
        radius = math.ceil(WINDOW_SDS * self.sigma_voxels / math.sqrt(2))
        found = []
        for volume in volumes:
            with self.in_precision(volume.device):
                heatmaps = self.network(volume[None])
            found.append(peaks(heatmaps.float(), radius))
        ijk, width = (torch.cat(one) for one in zip(*found, strict=True))
        grid = self.input_grid
        position_mm = grid.ijk_to_mm(ijk)
        return Trajectory.of_one_step(self.mean_mm_, position_mm, width * grid.spacing_mm)


class SpatialConfigurationNet(nn.Module):
    """Local appearance times spatial configuration.

    Args:
        num_landmarks: Landmarks L.
        widths: As of `HeatmapRegression`.
        context_width: Likewise.
        context_kernel: Likewise.
    """

    def __init__(
        self, num_landmarks: int, widths: Sequence[int], context_width: int, context_kernel: int
    ) -> None:
        super().__init__()
        from monai.networks.blocks import Convolution

        heads = nn.Conv3d(widths[0], num_landmarks, kernel_size=1)
        nn.init.normal_(heads.weight, std=1e-3)  # most of a heatmap is about zero
        nn.init.zeros_(heads.bias)  # type: ignore[arg-type]
        rectified = nn.Sequential(nn.InstanceNorm3d(widths[0]), nn.LeakyReLU())
        self.local = nn.Sequential(unet(widths, widths[0], "INSTANCE"), rectified, heads)
        block: dict[str, Any] = {"spatial_dims": 3, "kernel_size": context_kernel}
        block |= {"act": "LEAKYRELU", "norm": "INSTANCE"}
        channels = [num_landmarks, *[context_width] * CONTEXT_LAYERS]
        blocks = [
            Convolution(in_channels=before, out_channels=after, **block)
            for before, after in pairwise(channels)
        ]
        last = nn.Conv3d(context_width, num_landmarks, kernel_size=1)
        # At first it lets all through: a product of two that are about zero would not learn.
        nn.init.zeros_(last.weight)
        nn.init.ones_(last.bias)  # type: ignore[arg-type]
        self.context = nn.Sequential(*blocks, last)
        self.multiple = math.lcm(CONTEXT_FACTOR, math.prod(strides_of(widths)))
        self.kernel = max(KERNEL, math.ceil(CONTEXT_FACTOR * context_kernel / self.multiple))

    def forward(self, volumes: Num[Tensor, "B X Y Z"]) -> Float[Tensor, "B L X Y Z"]:
        """Heatmaps of volumes, 0 to 255."""
        local = self.local(padded(volumes, self.multiple, self.kernel))
        heatmaps = local * enlarged(self.context(block_means(local)))
        x, y, z = volumes.shape[1:]
        return heatmaps[..., :x, :y, :z]


def block_means(values: Float[Tensor, "B L X Y Z"]) -> Float[Tensor, "B L x y z"]:
    """Means over blocks of `CONTEXT_FACTOR` voxels along each axis."""
    for axis in (2, 3, 4):
        values = values.unflatten(axis, (-1, CONTEXT_FACTOR)).mean(dim=axis + 1)
    return values


def enlarged(values: Float[Tensor, "B L x y z"]) -> Float[Tensor, "B L X Y Z"]:
    """Interpolate linearly between the centres of blocks; the inverse of `block_means` in size.

    By matrix products, whose gradient is deterministic on a GPU, too.
    """
    for _ in range(3):  # the first axis of the volume becomes the last
        weights = _linear_weights(values.shape[2]).to(values)
        values = torch.tensordot(values, weights, dims=([2], [1]))
    return values


def _linear_weights(size: int) -> Float[Tensor, "X x"]:
    """Weight of each block of a line in each voxel of it."""
    voxels = torch.arange(size * CONTEXT_FACTOR)
    at = ((voxels + 0.5) / CONTEXT_FACTOR - 0.5).clamp(0, size - 1)
    return (1 - (at[:, None] - torch.arange(size)).abs()).clamp(min=0)


def gaussians(
    centres_ijk: Float[Tensor, "B L 3"], sigma: Float[Tensor, " L"], size: Sequence[int]
) -> Float[Tensor, "B L X Y Z"]:
    """Gaussians of height 1 at positions in voxels."""
    along = []
    for axis, side in enumerate(size):
        distance = torch.arange(side, device=centres_ijk.device) - centres_ijk[..., axis, None]
        along.append(torch.exp(-0.5 * (distance / sigma[:, None]).square()))
    x, y, z = along
    return x[..., :, None, None] * y[..., None, :, None] * z[..., None, None, :]


def peaks(
    heatmaps: Float[Tensor, "V L X Y Z"], radius: int
) -> tuple[Float[Tensor, "V L 3"], Float[Tensor, "V L"]]:
    """Sub-voxel peaks of heatmaps: centroids of their squares around the largest value.

    A square keeps the centre of a Gaussian, and little of what is around it.

    Args:
        heatmaps: Values below zero count as zero.
        radius: Voxels around the largest value along each axis.

    Returns:
        Positions, and the root-mean-square distances of the squared values from them, in voxels.
    """
    size = torch.tensor(heatmaps.shape[2:], device=heatmaps.device)
    flat = heatmaps.flatten(2)
    best = flat.argmax(dim=2)
    steps = torch.arange(-radius, radius + 1, device=heatmaps.device)
    offsets = torch.cartesian_prod(steps, steps, steps)
    around = torch.stack(torch.unravel_index(best, tuple(heatmaps.shape[2:])), dim=-1)
    voxels = around[:, :, None] + offsets
    inside = ((voxels >= 0) & (voxels < size)).all(dim=-1)
    x, y, z = voxels.clamp(min=0).minimum(size - 1).unbind(-1)
    weight = flat.gather(2, (x * size[1] + y) * size[2] + z).clamp(min=0).square() * inside
    total = weight.sum(dim=2, keepdim=True)
    # Without any value above zero, the whole window is as good.
    weight = torch.where(total > 0, weight / total.clamp(min=1e-30), inside / inside.sum(2, True))
    centre = (weight[..., None] * offsets).sum(dim=2)
    apart = (offsets - centre[:, :, None]).square().sum(dim=-1)
    return around + centre, (weight * apart).sum(dim=2).sqrt()

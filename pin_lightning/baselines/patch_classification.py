"""Classified patches: is a landmark at the centre of this patch?

Zheng et al., "3D deep learning for efficient and robust landmark detection in volumetric data",
MICCAI 2015: a shallow network looks at all voxels of a coarse volume, a deep one at the best of
them, and the landmark is the mean of the voxels that it finds best.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from pin_lightning.baselines.base import LearningSystem, Problem
from pin_lightning.baselines.checks import check
from pin_lightning.baselines.patches import PatchCutter, positions_around_mm
from pin_lightning.baselines.whole_volume import padded
from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Bool, Float, Num, Tensor
from pin_lightning.method.networks import LandmarkNetwork
from pin_lightning.method.pyramid import coarser, coarser_grid
from pin_lightning.method.trajectory import Trajectory

PATCHES_AT_ONCE = 512
NEAR = 3.0  # radii within which patches about a landmark lie


class PatchClassification(LearningSystem):
    """A shallow network at all coarse voxels, and a deep one at the best of them.

    Args:
        problem: What it is built for.
        most_voxels: Voxels of a volume, at most: they decide the spacing of the deep network's
            patches.
        coarse: Spacing of the voxels that are classified, in voxels of that spacing.
        radius: A landmark is at the centre of a patch if it is within so many coarse voxels.
        shallow_side: Side of the shallow network's patches in coarse voxels, odd.
        shallow_width: Its hidden units.
        candidates: Coarse voxels of each landmark that the deep network looks at.
        averaged: Best of them, of which the landmark is the weighted mean.
        patches: Patches of each landmark and volume of a training step of the deep network.
        patch_side: Side of its patches in voxels, odd; None takes three eighths of the volume.
        patch_spacings: Spacings at which they are cut, in voxels.
        widths: As of `LandmarkNetwork`.
        hidden: Likewise.
        dropout: Likewise.

    Raises:
        ValueError: A setting is wrong.
    """

    name: ClassVar[str] = "patch_classification"
    largest: ClassVar[Mapping[str, float]] = {
        "most_voxels": 2**28,
        "coarse": 64,
        "shallow_side": 101,
        "shallow_width": 8192,
    }

    def __init__(
        self,
        problem: Problem,
        most_voxels: int = 300_000,
        coarse: int = 2,
        radius: float = 1.5,
        shallow_side: int = 9,
        shallow_width: int = 32,
        candidates: int = 60,
        averaged: int = 15,
        patches: int = 8,
        patch_side: int | None = None,
        patch_spacings: Sequence[int] = (1, 2),
        widths: Sequence[int] = (32, 64, 64),
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(problem, most_voxels)
        check("coarse", coarse, coarse >= 1, "at least 1")
        check("radius", radius, radius >= 1, "at least 1 coarse voxel")
        odd = shallow_side >= 1 and shallow_side % 2 == 1
        check("shallow_side", shallow_side, odd, "an odd number of voxels")
        check("shallow_width", shallow_width, shallow_width >= 1, "at least 1")
        check("candidates", candidates, candidates >= 1, "at least 1")
        within = 1 <= averaged <= candidates
        check("averaged", averaged, within, f"1 to system.candidates={candidates}")
        check("patches", patches, patches >= 4, "at least 4")
        self.coarse = coarse
        self.candidates, self.averaged, self.patches = candidates, averaged, patches
        self.radius_mm = radius * self.coarse_grid.spacing_mm
        self.cutter = PatchCutter(self.input_grid, patch_side, patch_spacings)
        landmarks = problem.num_landmarks
        self.shallow = ShallowNetwork(landmarks, shallow_side, shallow_width)
        sizes = (landmarks, self.cutter.channels, 1, self.cutter.side)
        self.network = LandmarkNetwork(*sizes, widths, hidden, dropout)

    @property
    def coarse_grid(self) -> Grid:
        """Grid of the voxels that are classified."""
        return coarser_grid(self.input_grid, self.coarse)

    def training_loss(
        self,
        volumes: Num[Tensor, "B X Y Z"],
        landmarks_mm: Float[Tensor, "B L 3"],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Cross-entropies of both networks, in which both answers count alike.

        The shallow network sees every coarse voxel. Of the deep one's patches a quarter lie at the
        landmark, a quarter about it, and half where the shallow network sees it, right or wrong.
        """
        scores = self.shallow_scores(volumes)
        voxels_mm = _voxels_mm(self.coarse_grid).to(volumes.device)
        apart_mm = torch.cdist(landmarks_mm.nan_to_num(), voxels_mm.expand(len(volumes), -1, -1))
        known = torch.isfinite(landmarks_mm).all(dim=-1, keepdim=True)
        is_there = apart_mm <= self.radius_mm
        shallow = balanced_loss(scores, is_there, known.expand_as(is_there))
        centres_mm = self._draw(scores.detach(), landmarks_mm, voxels_mm, generator)
        # [B L N 3]: each row of patches has one of each landmark.
        centres_mm = torch.where(known[..., None], centres_mm, 0.0)
        logits = self.deep_scores(volumes, centres_mm)
        apart_mm = (centres_mm - landmarks_mm.nan_to_num()[:, :, None]).norm(dim=-1)
        is_there = apart_mm <= self.radius_mm
        deep = balanced_loss(logits, is_there, known.expand_as(is_there))
        return {"shallow_loss": shallow, "deep_loss": deep}

    def _draw(
        self,
        scores: Float[Tensor, "B L M"],
        landmarks_mm: Float[Tensor, "B L 3"],
        voxels_mm: Float[Tensor, "M 3"],
        generator: torch.Generator,
    ) -> Float[Tensor, "B L N 3"]:
        """Draw the centres of the deep network's patches."""
        few = self.patches // 4
        each_mm = landmarks_mm[:, :, None].cpu().expand(-1, -1, few, -1)
        at_mm = positions_around_mm(each_mm, (0.0, self.radius_mm), generator)
        about_mm = positions_around_mm(each_mm, (self.radius_mm, NEAR * self.radius_mm), generator)
        hard = self.patches - 2 * few
        best = scores.topk(min(self.candidates, scores.shape[2]), dim=2).indices
        which = torch.randint(best.shape[2], (*best.shape[:2], hard), generator=generator)
        hard_mm = voxels_mm[best.gather(2, which.to(best.device))]
        return torch.cat([at_mm.to(hard_mm), about_mm.to(hard_mm), hard_mm], dim=2)

    def shallow_scores(self, volumes: Num[Tensor, "B X Y Z"]) -> Float[Tensor, "B L M"]:
        """Scores of all coarse voxels, before the sigmoid, with z fastest."""
        with self.in_precision(volumes.device):
            scores = self.shallow(coarser(volumes, self.coarse))
        return scores.float().flatten(2)

    def deep_scores(
        self, volumes: Num[Tensor, "B X Y Z"], centres_mm: Float[Tensor, "B L N 3"]
    ) -> Float[Tensor, "B L N"]:
        """Scores of each landmark at N centres of its own, before the sigmoid."""
        pyramid = self.cutter.pyramid(volumes)
        count = centres_mm.shape[2]
        rows_mm = centres_mm.transpose(1, 2).flatten(0, 1)
        index = torch.arange(len(volumes), device=volumes.device).repeat_interleave(count)
        at_once = max(1, PATCHES_AT_ONCE // centres_mm.shape[1])
        found = []
        for begin in range(0, len(rows_mm), at_once):
            some = slice(begin, begin + at_once)
            with self.in_precision(volumes.device):
                patches = self.cutter.network_input(pyramid, index[some], rows_mm[some])
                found.append(self.network.outputs(patches)[..., 0].float())
        return torch.cat(found).unflatten(0, (-1, count)).transpose(1, 2)

    def locate(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Classify the voxels of each volume, and average the best."""
        voxels_mm = _voxels_mm(self.coarse_grid).to(volumes.device)
        found = []
        for volume in volumes:
            scores = self.shallow_scores(volume[None])
            best = scores.topk(min(self.candidates, scores.shape[2]), dim=2).indices
            centres_mm = voxels_mm[best]
            logits = self.deep_scores(volume[None], centres_mm)
            reach_mm = 2 * self.radius_mm
            found.append(mean_of_best(centres_mm[0], logits[0], self.averaged, reach_mm))
        positions_mm, spread_mm = (torch.stack(one) for one in zip(*found, strict=True))
        return Trajectory.of_one_step(self.mean_mm_, positions_mm, spread_mm)


class ShallowNetwork(nn.Module):
    """One hidden layer on the 2.5D patch of every voxel, by convolutions with its three planes.

    Args:
        num_landmarks: Landmarks L.
        side: Patch side P in voxels, odd.
        width: Hidden units H.
    """

    def __init__(self, num_landmarks: int, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        spread = 1 / math.sqrt(3 * side**2)
        self.weight = nn.Parameter(spread * torch.randn(width, 3, side, side))
        self.bias = nn.Parameter(torch.zeros(width))
        self.out = nn.Conv3d(width, num_landmarks, kernel_size=1)

    def forward(self, volumes: Num[Tensor, "B X Y Z"]) -> Float[Tensor, "B L X Y Z"]:
        """Scores of all voxels of volumes, 0 to 255, before the sigmoid."""
        values, half = padded(volumes, 1, self.side), self.side // 2
        hidden = self.bias[:, None, None, None]
        for plane, axis in enumerate((2, 3, 4)):  # yz, xz and xy are across x, y and z
            kernel = self.weight[:, plane].unsqueeze(axis - 1)[:, None]
            padding = tuple(0 if one == axis else half for one in (2, 3, 4))
            hidden = hidden + functional.conv3d(values, kernel, padding=padding)
        scores: Tensor = self.out(functional.relu(hidden))
        x, y, z = volumes.shape[1:]
        return scores[..., :x, :y, :z]


def balanced_loss(
    logits: Float[Tensor, "*shape"], is_there: Bool[Tensor, "*shape"], known: Bool[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Cross-entropy in which patches with and without the landmark count alike, however many.

    Args:
        logits: Scores before the sigmoid.
        is_there: Whether the landmark is at the centre of the patch.
        known: Patches that count.
    """
    each = functional.binary_cross_entropy_with_logits(logits, is_there.float(), reduction="none")
    halves = []
    for own in (is_there & known, ~is_there & known):
        halves.append((each * own).sum() / own.sum().clamp(min=1))
    return torch.stack(halves).mean()


def mean_of_best(
    centres_mm: Float[Tensor, "L N 3"], logits: Float[Tensor, "L N"], count: int, reach_mm: float
) -> tuple[Float[Tensor, "L 3"], Float[Tensor, " L"]]:
    """Mean of the best places that lie together, weighted by their probabilities.

    Of places that look alike in different parts of the anatomy those are averaged that have the
    largest sum of probabilities within reach of one of them.

    Args:
        centres_mm: Places that were looked at.
        logits: Their scores before the sigmoid.
        count: Best places that count.
        reach_mm: Distance from the place in the middle up to which places count.

    Returns:
        Positions, and the weighted root-mean-square distances of the places from them.
    """
    best, which = logits.topk(min(count, logits.shape[1]), dim=1)
    places_mm = centres_mm.gather(1, which[..., None].expand(-1, -1, 3))
    # The softmax of the log of the sigmoid is the share of a probability, also of tiny ones.
    weight = torch.softmax(functional.logsigmoid(best), dim=1)[:, None]
    together = weight * (torch.cdist(places_mm, places_mm) <= reach_mm)
    middle = together.sum(dim=2).argmax(dim=1)
    weight = together[torch.arange(len(middle), device=middle.device), middle]
    weight = (weight / weight.sum(dim=1, keepdim=True))[..., None]
    mean_mm = (weight * places_mm).sum(dim=1)
    spread_mm = (weight * (places_mm - mean_mm[:, None]).square()).sum(dim=(1, 2)).sqrt()
    return mean_mm, spread_mm


def _voxels_mm(grid: Grid) -> Float[Tensor, "M 3"]:
    """Centres of all voxels of a grid, with z fastest, grid mm."""
    sides = [torch.arange(side, dtype=torch.float32) for side in grid.size]
    return grid.ijk_to_mm(torch.cartesian_prod(*sides))

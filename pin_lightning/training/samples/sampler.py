"""Training samples: random points in shape space, and the 2.5D patches cut there."""

import copy
import math
from collections.abc import Sequence
from functools import partial

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Bool, Float, Int, Num, Tensor
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.pyramid import (
    Pyramid,
    build_pyramid,
    check_spacings,
    cut_levels,
    cut_straight,
    merge_levels,
)
from pin_lightning.method.sampling import Drawn, Sampling
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.augmentation.intensity import Intensity, change_intensity
from pin_lightning.training.augmentation.warped_patches import cut_warped_patches
from pin_lightning.training.augmentation.warps import Warp

GROUPS_PER_STEP = 256  # of parameters that move by themselves: landmarks, or whole shapes


class ShapePatchSampler:
    """Draws shape parameters at random and cuts the patches of the shapes they stand for.

    Args:
        shape_model: Fitted shape model.
        grid: Working grid of the volumes.
        patch_side: Patch side P in voxels, odd.
        interpolation: ``nearest`` or ``linear``.
        sampling: Draws where samples lie.
        augmentation: Of patches and landmarks, drawn for each sample.
        seed: Seed of the draws.
        device: Where samples are drawn and cut.
        patch_spacings: Spacings at which patches are cut, in voxels.
        shard: Which of the samples that all processes draw this one cuts.

    Raises:
        ValueError: A spacing is wrong.
    """

    def __init__(
        self,
        shape_model: ShapeModel,
        grid: Grid,
        patch_side: int,
        interpolation: str,
        sampling: Sampling,
        augmentation: Augmentation,
        seed: int,
        device: torch.device = torch.device("cpu"),  # noqa: B008 (immutable)
        patch_spacings: Sequence[int] = (1,),
        shard: Shard = WHOLE,
    ) -> None:
        # A copy: the trained one moves to the device of the network.
        self.shape_model = copy.deepcopy(shape_model).to(device)
        self.grid = grid
        self.patch_side = patch_side
        self.interpolation = interpolation
        self.sampling = sampling
        self.augmentation = augmentation
        self.seed = seed
        self.patch_spacings = check_spacings(patch_spacings)
        self.shard = shard
        self.generator = torch.Generator(device).manual_seed(seed)

    def on(self, device: torch.device, shard: Shard = WHOLE) -> "ShapePatchSampler":
        """The same sampler on a device, from its first draw on; another device draws otherwise."""
        return ShapePatchSampler(
            self.shape_model,
            self.grid,
            self.patch_side,
            self.interpolation,
            self.sampling,
            self.augmentation,
            self.seed,
            device,
            self.patch_spacings,
            shard,
        )

    def batch_size(self, asked: int | None) -> int:
        """Samples of a training step; none asked for is as many as have 256 groups of parameters.

        Raises:
            ValueError: Fewer than one are asked for.
        """
        if asked is None:
            return max(1, round(GROUPS_PER_STEP / self.shape_model.num_groups))
        if asked < 1:
            raise ValueError(f"loader.batch_size={asked}: give 1 or more, or null")
        return asked

    def pyramid(self, volumes: Num[Tensor, "V X Y Z"]) -> Pyramid:
        """Volumes on the grid as `samples` wants them."""
        return build_pyramid(volumes, self.grid, self.patch_spacings)

    def draw(self, true_parameters: Float[Tensor, "N K"]) -> Drawn:
        """Shape parameters of N samples.

        Args:
            true_parameters: Those of each sample's volume.
        """
        settings = (self.grid.spacing_mm, self.generator)
        return self.sampling.draw(self.shape_model, true_parameters, *settings)

    def cut(
        self,
        pyramid: Pyramid,
        volume_index: Int[Tensor, " N"],
        parameters: Float[Tensor, "N K"],
        warp: Warp | None = None,
    ) -> list[Num[Tensor, "N _ P P"]]:
        """Patches at N points in shape space, of each spacing.

        Args:
            pyramid: Volumes.
            volume_index: Which of them each point lies in.
            parameters: The points.
            warp: Maps to the volumes from those that the points lie in.
        """
        centres_mm = self.shape_model.decode(parameters)
        cut = cut_straight if warp is None else partial(cut_warped_patches, warp=warp)
        settings = (self.patch_side, self.interpolation, cut)
        return cut_levels(pyramid, volume_index, centres_mm, *settings)

    def samples(
        self,
        pyramid: Pyramid,
        volume_index: Int[Tensor, " N"],
        landmarks_mm: Float[Tensor, "N L 3"],
    ) -> dict[str, Tensor]:
        """The samples of this process among N, augmented.

        All processes draw all N, noise included, so that their generators stay in step, and each
        cuts its own; N is a multiple of their number. The truth of a sample is what the shape model
        makes of the landmarks in its augmented volume; a PCA knows only shapes like those it was
        fitted to, and takes the nearest. Of a missing landmark it is NaN.

        Args:
            pyramid: Volumes.
            volume_index: Which of them each sample comes from.
            landmarks_mm: Landmarks of each sample's volume, grid mm; NaN where one that moves by
                itself is missing.

        Returns:
            ``patches`` [n, C, P, P], ``parameters`` [n, K] and ``true_parameters`` [n, K] in mm
            (paper, "Network Input" and "Multiple Landmarks"); ``scale_mm`` [n, G] where the
            sampling knows it.
        """
        augmentation, count = self.augmentation, len(volume_index)
        known = torch.isfinite(landmarks_mm)
        landmarks_mm = torch.where(known, landmarks_mm, self.shape_model.mean_mm_)
        warp = augmentation.draw_warp(count, self.grid, self.generator)
        if warp is not None:
            known = augmentation.exchange_sides(warp, known)
            landmarks_mm = augmentation.move_landmarks(warp, landmarks_mm)
        true_parameters = self.shape_model.encode(landmarks_mm)
        drawn = self.draw(true_parameters)
        intensity = augmentation.draw_intensity(count, self.generator)
        own = self.shard.rows
        parameters = drawn.parameters[own]
        moved = None if warp is None else warp[own]
        levels = self.cut(pyramid, volume_index[own], parameters, moved)
        if intensity is not None:
            levels = self._other_intensities(levels, parameters, intensity[own])
        samples = {
            "patches": merge_levels(levels),
            "parameters": parameters,
            "true_parameters": self._only(known, true_parameters)[own],
        }
        return samples if drawn.scale_mm is None else samples | {"scale_mm": drawn.scale_mm[own]}

    def _only(
        self, known: Bool[Tensor, "N L 3"], parameters: Float[Tensor, "N K"]
    ) -> Float[Tensor, "N K"]:
        """Parameters, NaN in groups of which a landmark is not known."""
        groups = self.shape_model.num_groups
        groups_known = known.unflatten(1, (groups, -1)).all(dim=3).all(dim=2)
        each = groups_known.repeat_interleave(parameters.shape[1] // groups, dim=1)
        return torch.where(each, parameters, math.nan)

    def _other_intensities(
        self,
        levels: list[Num[Tensor, "N _ P P"]],
        parameters: Float[Tensor, "N K"],
        intensity: Intensity,
    ) -> list[Num[Tensor, "N _ P P"]]:
        settings = (self.shape_model.decode(parameters), intensity, self.grid, self.generator)
        return [
            change_intensity(patches, *settings, spacing, self.shard)
            for patches, spacing in zip(levels, self.patch_spacings, strict=True)
        ]

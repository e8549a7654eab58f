"""Training samples: random points in shape space, and the 2.5D patches cut there."""

import copy
import math
from collections.abc import Sequence
from functools import partial

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Bool, Float, Int, Num, Tensor
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.pyramid import Pyramid, cut_levels, cut_straight, merge_levels
from pin_lightning.method.sampling import Drawn, Sampling
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.augmentation.intensity import Intensity, change_intensity
from pin_lightning.training.augmentation.warped_patches import cut_warped_patches
from pin_lightning.training.augmentation.warps import Warp
from pin_lightning.training.samples.drawing import SampleDrawing

GROUPS_PER_STEP = 256  # of parameters that move by themselves: landmarks, or whole shapes


class ShapePatchSampler(SampleDrawing):
    """Draw shape parameters at random and cut the patches of their shapes, on the CPU at first.

    Args:
        shape_model: Fitted shape model.
        grid: Working grid of the volumes.
        patch_side: Patch side P in voxels, odd.
        interpolation: ``nearest`` or ``linear``.
        sampling: Draws the shape parameters.
        augmentation: Augmentation of patches and landmarks.
        seed: Seed of the draws.
        patch_spacings: Spacings at which patches are cut, in voxels.
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
        patch_spacings: Sequence[int] = (1,),
    ) -> None:
        super().__init__(grid, augmentation, seed, patch_spacings)
        # A copy: the trained one moves to the device of the network.
        self.shape_model = copy.deepcopy(shape_model).to("cpu")
        self.patch_side = patch_side
        self.interpolation = interpolation
        self.sampling = sampling

    def on(self, device: torch.device, shard: Shard = WHOLE) -> "ShapePatchSampler":
        """Copy the sampler to a device, whose draws begin anew, to cut the samples of a shard."""
        made = super().on(device, shard)
        made.shape_model = copy.deepcopy(self.shape_model).to(device)
        return made

    @property
    def default_batch_size(self) -> int:
        """As many samples as have 256 groups of parameters."""
        return max(1, round(GROUPS_PER_STEP / self.shape_model.num_groups))

    def draw(self, true_parameters: Float[Tensor, "N K"]) -> Drawn:
        """Draw the shape parameters of N samples from the true ones of their volumes."""
        settings = (self.grid.spacing_mm, self.generator)
        return self.sampling.draw(self.shape_model, true_parameters, *settings)

    def cut(
        self,
        pyramid: Pyramid,
        volume_index: Int[Tensor, " N"],
        parameters: Float[Tensor, "N K"],
        warp: Warp | None = None,
    ) -> list[Num[Tensor, "N _ P P"]]:
        """Cut patches of each spacing at N points in shape space, of volumes that `warp` warps."""
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
        """Draw N samples, augmented, and cut those of this process, as `SampleDrawing` says.

        The truth of a sample is the encoding of the
        landmarks in its augmented volume: a PCA takes the nearest shape that it can represent. The
        truth of a missing landmark is NaN.

        Args:
            pyramid: Volumes.
            volume_index: Volume of each sample.
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
        intensity = augmentation.draw_intensity(count, self.grid, self.generator)
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
        """Set parameters to NaN in groups with a landmark that is not known."""
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

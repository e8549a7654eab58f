"""The random-point patch sampler that a torchio queue draws from."""

import copy
from collections.abc import Generator
from typing import Any

import torch
import torchio as tio

from pin_lightning.augmentation import AffineAugmentation
from pin_lightning.geometry import Grid
from pin_lightning.patches import add_border, cut_patches
from pin_lightning.shape_models import ShapeModel
from pin_lightning.types import Float, Int, Num, Tensor


class ShapePatchSampler(tio.data.PatchSampler):
    """Draws shape parameters at random and cuts the 2.5D patches of the shape they stand for.

    Samples are plain dictionaries: ``patches`` [C, P, P], ``parameters`` [K] and
    ``true_parameters`` [K] in mm (paper, "Network Input" and "Multiple Landmarks").

    Args:
        shape_model: Fitted shape model.
        grid: Working grid of the volumes.
        patch_side: Patch side P in voxels, odd.
        interpolation: ``nearest`` or ``linear``.
        approach_fraction: Share of samples moved towards the truth; 0 in the paper.
        augmentation: Applied to volume and landmarks each time a volume is visited.
        seed: Seed of the draws.
        chunk: Samples cut at once from one volume.
    """

    def __init__(
        self,
        shape_model: ShapeModel,
        grid: Grid,
        patch_side: int,
        interpolation: str,
        approach_fraction: float,
        augmentation: AffineAugmentation,
        seed: int,
        chunk: int = 32,
    ) -> None:
        super().__init__(1)  # a volume may be smaller than a patch: outside it is zero
        # A copy: the trained one moves to the device of the network.
        self.shape_model = copy.deepcopy(shape_model)
        self.grid = grid
        self.patch_side = patch_side
        self.interpolation = interpolation
        if not 0 <= approach_fraction <= 1:
            raise ValueError(
                f"model.approach_fraction={approach_fraction}: give a share between 0 and 1"
            )
        self.approach_fraction = approach_fraction
        self.augmentation = augmentation
        self.chunk = chunk
        self.generator = torch.Generator().manual_seed(seed)

    def _generate_patches(
        self, subject: tio.Subject, num_patches: int | None = None
    ) -> Generator[Any, None, None]:
        """Samples of one subject, without end: a torchio queue takes as many as it wants."""
        volume, landmarks_mm = self.augmentation(
            subject.image.data[0], subject.landmarks_mm, self.grid, self.generator
        )
        true_parameters = self.shape_model.encode(landmarks_mm)
        bordered = add_border(volume[None])
        index = torch.zeros(self.chunk, dtype=torch.long)
        while True:
            parameters = self.draw(true_parameters.expand(self.chunk, -1))
            patches = self.cut(bordered, index, parameters)
            for patch, sampled in zip(patches, parameters, strict=True):
                yield {
                    "patches": patch,
                    "parameters": sampled,
                    "true_parameters": true_parameters,
                }

    def draw(self, true_parameters: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Shape parameters of N samples: uniform within +-3 SD, some moved towards the truth.

        The moved ones lie at a random point on the straight way from there to the truth, which is
        where the iteration goes.

        Args:
            true_parameters: Those of each sample's volume.
        """
        count = len(true_parameters)
        uniform = self.shape_model.sample(count, self.generator)
        moved, share = torch.rand(2, count, 1, generator=self.generator).to(uniform.device)
        distance = torch.where(moved < self.approach_fraction, share, 1.0)
        return true_parameters + distance * (uniform - true_parameters)

    def cut(
        self,
        bordered: Num[Tensor, "V X2 Y2 Z2"],
        volume_index: Int[Tensor, " N"],
        parameters: Float[Tensor, "N K"],
    ) -> Num[Tensor, "N C P P"]:
        """Patches at N points in shape space.

        Args:
            bordered: Volumes with their border.
            volume_index: Which of them each point lies in.
            parameters: The points.
        """
        positions_ijk = self.grid.mm_to_ijk(self.shape_model.decode(parameters))
        return cut_patches(
            bordered, volume_index, positions_ijk, self.patch_side, self.interpolation
        )

    def to(self, device: torch.device) -> "ShapePatchSampler":
        """This sampler with its shape model on a device; random numbers are drawn on the CPU."""
        self.shape_model = self.shape_model.to(device)
        return self

    def refuse_augmentation(self, loader: str) -> None:
        """Refuse an augmentation of whole volumes in a loader that cannot do it.

        Raises:
            ValueError: The augmentation changes volumes.
        """
        if self.augmentation != AffineAugmentation():
            raise ValueError(f"{loader}: has no augmentation of volumes; give loader=queue as well")

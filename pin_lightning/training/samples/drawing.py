"""Drawing of training samples: what loaders need of whatever draws them."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.pyramid import Pyramid, build_pyramid, check_spacings
from pin_lightning.training.augmentation.augmentation import Augmentation

Kind = TypeVar("Kind", bound="SampleDrawing")


class SampleDrawing(ABC):
    """Draws augmented training samples from volumes, on the CPU at first.

    Args:
        grid: Working grid of the volumes.
        augmentation: Augmentation of samples and landmarks.
        seed: Seed of the draws.
        patch_spacings: Spacings, in voxels of the grid, of the volumes that samples are cut from.
    """

    def __init__(
        self, grid: Grid, augmentation: Augmentation, seed: int, patch_spacings: Sequence[int]
    ) -> None:
        self.grid = grid
        self.augmentation = augmentation
        self.seed = seed
        self.patch_spacings = check_spacings(patch_spacings)
        self.shard = WHOLE
        self.generator = torch.Generator().manual_seed(seed)

    def on(self: Kind, device: torch.device, shard: Shard = WHOLE) -> Kind:
        """Copy to a device, where draws begin anew, to cut the samples of a shard."""
        made = copy.copy(self)
        made.shard = shard
        made.generator = torch.Generator(device).manual_seed(self.seed)
        return made

    def pyramid(self, volumes: Num[Tensor, "V X Y Z"]) -> Pyramid:
        """Build from volumes on the grid what `samples` cuts from."""
        return build_pyramid(volumes, self.grid, self.patch_spacings)

    def batch_size(self, asked: int | None) -> int:
        """Return the samples of a step; `default_batch_size` for None.

        Raises:
            ValueError: It is below one.
        """
        if asked is None:
            return self.default_batch_size
        if asked < 1:
            raise ValueError(f"loader.batch_size={asked}: give 1 or more, or null")
        return asked

    @property
    @abstractmethod
    def default_batch_size(self) -> int:
        """Samples of a step unless their number is given."""

    @abstractmethod
    def samples(
        self,
        pyramid: Pyramid,
        volume_index: Int[Tensor, " N"],
        landmarks_mm: Float[Tensor, "N L 3"],
    ) -> dict[str, Tensor]:
        """Draw N samples, augmented, and cut those of this process.

        All processes draw all N, noise included, so that their generators stay in step, and each
        cuts its own; N is a multiple of their number.

        Args:
            pyramid: Volumes.
            volume_index: Volume of each sample.
            landmarks_mm: Landmarks of each sample's volume, grid mm; NaN where missing.
        """

"""Passes over the volumes of a data set: which comes when, and reading it.

What is drawn in a pass depends on the seed, the pass and the place of a volume in it alone.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torchio as tio
from torch.utils.data import Dataset, Sampler

from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.distributed.random_states import seed_of
from pin_lightning.distributed.ranks import WHOLE, Shard

ORDER, FILL = -1, -2  # what is drawn beside the samples of the volumes at places 0, 1, 2, ...


class PassSampler(Sampler[tuple[int, int]]):
    """The places of one pass over all volumes in random order, each with the number of its volume.

    Every process has its part, all of the same length: the order goes on from its beginning until
    it can be shared out.

    Args:
        volumes: Number of volumes.
        seed: Seed of the orders, another order for each pass.
        shard: The part of this process.
    """

    def __init__(self, volumes: int, seed: int, shard: Shard = WHOLE) -> None:
        self.volumes = volumes
        self.seed = seed
        self.shard = shard
        self.begin(0, 0)

    def begin(self, epoch: int, first: int) -> None:
        """Choose the pass, and how many of its places are left out."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, epoch, ORDER))
        order = torch.randperm(self.volumes, generator=generator)
        places = range(-(-self.volumes // self.shard.count) * self.shard.count)
        own = list(self.shard.of(places))[first:]
        self.places = [(place, int(order[place % self.volumes])) for place in own]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


class PassDataset(Dataset[tio.Subject | str]):
    """Volumes of a pass, read when they are asked for.

    Args:
        volumes: Cached working volumes.
        landmarks_mm: Landmarks of each, grid mm.
    """

    def __init__(self, volumes: Sequence[Path], landmarks_mm: Float[Tensor, "M L 3"]) -> None:
        self.volumes = volumes
        self.landmarks_mm = landmarks_mm

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, item: tuple[int, int]) -> tio.Subject | str:
        """The volume at a place as a subject, or what is wrong with its file."""
        place, index = item
        try:
            volume = load_volume(self.volumes[index])
        except ValueError as error:
            return str(error)  # raised in a worker it would come with a traceback
        # A copy: what is mapped cannot go from a worker to the training process.
        image = tio.ScalarImage(tensor=volume.intensity[None].clone(), affine=volume.affine)
        return tio.Subject(image=image, landmarks_mm=self.landmarks_mm[index], place=place)

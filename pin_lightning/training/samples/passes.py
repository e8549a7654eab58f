"""Passes over the volumes of a data set: their order, and reading them.

Draws depend only on the seed, the pass, and the place of a volume in it.
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

ORDER, FILL = -1, -2  # seeds of other draws than the samples of the volumes at places 0, 1, 2, ...


class PassSampler(Sampler[tuple[int, int]]):
    """Places of one pass over all volumes in random order, each with the index of its volume.

    Each pass has another order. All processes have parts of the same length: the order is repeated
    from its beginning until it can be divided.
    """

    def __init__(self, volumes: int, seed: int, shard: Shard = WHOLE) -> None:
        self.volumes = volumes
        self.seed = seed
        self.shard = shard
        self.begin(0, 0)

    def begin(self, epoch: int, first: int) -> None:
        """Choose the pass, and the first of its places to visit."""
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
    """Cached working volumes with their landmarks in grid mm, read when they are asked for."""

    def __init__(self, volumes: Sequence[Path], landmarks_mm: Float[Tensor, "M L 3"]) -> None:
        self.volumes = volumes
        self.landmarks_mm = landmarks_mm

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, item: tuple[int, int]) -> tio.Subject | str:
        """Read the volume at a place as a subject; return the message if its file is damaged."""
        place, index = item
        try:
            volume = load_volume(self.volumes[index])
        except ValueError as error:
            return str(error)  # raised in a worker it would come with a traceback
        # A copy: mapped memory cannot go from a worker to the training process.
        image = tio.ScalarImage(tensor=volume.intensity[None].clone(), affine=volume.affine)
        return tio.Subject(image=image, landmarks_mm=self.landmarks_mm[index], place=place)

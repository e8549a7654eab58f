"""The fast loader: all working volumes in memory, whole batches cut by one gather."""

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from pin_lightning.data.sampler import ShapePatchSampler
from pin_lightning.files import whole_file
from pin_lightning.patches import add_border
from pin_lightning.preprocessing import load_volume
from pin_lightning.types import Float, Tensor, UInt8

GB = 1e9
CPU = torch.device("cpu")


class ResidentLoader:
    """Batches of random-point patches, every sample from a volume at random (FACTS).

    Volumes are 8-bit and stay on the device that trains, where a batch is cut at once. Volumes that
    do not fit into memory go into one file that is mapped; the system keeps what it has room for.

    Args:
        volumes: Cached working volumes of the training cases, all on the sampler's grid.
        shapes_mm: Landmarks of each case, grid mm.
        sampler: Draws shape parameters and cuts patches.
        device: Device that trains.
        batch_size: Samples B of a step.
        batches_per_epoch: Batches until validation and checkpoints may come between.
        memory_gb: Memory that the volumes may take; none is half of what the machine has.

    Raises:
        ValueError: A number is not positive, or the sampler's augmentation is not one that works
            on patches.
    """

    def __init__(
        self,
        volumes: Sequence[Path],
        shapes_mm: Float[Tensor, "M L 3"],
        sampler: ShapePatchSampler,
        device: torch.device = CPU,
        batch_size: int = 64,
        batches_per_epoch: int = 100,
        memory_gb: float | int | None = None,
    ) -> None:
        for name, value in {
            "batch_size": batch_size,
            "batches_per_epoch": batches_per_epoch,
        }.items():
            if value < 1:
                raise ValueError(f"loader.{name}={value}: give 1 or more")
        sampler.refuse_augmentation("loader=resident")
        self.volumes = volumes
        self.sampler = sampler.to(device)
        self.true_parameters = self.sampler.shape_model.encode(shapes_mm.to(device))
        self.device = device
        self.batch_size = batch_size
        self.batches_per_epoch = batches_per_epoch
        self.memory_gb = memory_gb
        self._bordered: UInt8[Tensor, "V X2 Y2 Z2"] | None = None

    def __len__(self) -> int:
        return self.batches_per_epoch

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        if self._bordered is None:
            self._bordered = stack_volumes(self.volumes, self.memory_gb).to(self.device)
        for _ in range(len(self)):
            yield self._batch(self._bordered)

    def _batch(self, bordered: UInt8[Tensor, "V X2 Y2 Z2"]) -> dict[str, Tensor]:
        count, generator = (self.batch_size,), self.sampler.generator
        index = torch.randint(len(self.volumes), count, generator=generator).to(self.device)
        true_parameters = self.true_parameters[index]
        parameters = self.sampler.draw(true_parameters)
        return {
            "patches": self.sampler.cut(bordered, index, parameters),
            "parameters": parameters,
            "true_parameters": true_parameters,
        }


def stack_volumes(
    volumes: Sequence[Path], memory_gb: float | int | None = None
) -> UInt8[Tensor, "V X2 Y2 Z2"]:
    """All volumes with their borders as one tensor, in memory or mapped from a file.

    Args:
        volumes: Cached working volumes, all of one size.
        memory_gb: More than this is mapped from a file beside the first volume; none is half of
            what the machine has.
    """
    sides = [side + 2 for side in load_volume(volumes[0]).grid.size]
    shape = (len(volumes), *sides)
    if math.prod(shape) <= (_half_of_memory_gb() if memory_gb is None else memory_gb) * GB:
        return _fill(torch.empty(shape, dtype=torch.uint8), volumes)
    names = "".join(path.name for path in volumes)  # which change with the volumes
    file = volumes[0].parent / f"stack_{hashlib.sha256(names.encode()).hexdigest()[:12]}.u8"
    if not file.is_file():
        with whole_file(file) as temporary:
            mapped = np.memmap(temporary, np.uint8, "w+", shape=shape)
            _fill(torch.from_numpy(mapped), volumes)
            mapped.flush()
    return torch.from_numpy(np.memmap(file, np.uint8, "c", shape=shape))


def _fill(stack: UInt8[Tensor, "V X2 Y2 Z2"], volumes: Sequence[Path]) -> Tensor:
    for target, path in zip(stack, volumes, strict=True):
        target.copy_(add_border(load_volume(path).intensity[None])[0])
    return stack


def _half_of_memory_gb() -> float:
    if not hasattr(os, "sysconf"):  # Windows
        return 4.0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB / 2

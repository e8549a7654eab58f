"""The paper-style streaming loader: random-point patches through a torchio queue."""

import math
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import torch
import torchio as tio

from pin_lightning.data.sampler import ShapePatchSampler
from pin_lightning.shard import WHOLE, Shard
from pin_lightning.types import Float, Tensor

CPU = torch.device("cpu")


class QueueSampler(tio.data.PatchSampler):
    """What a torchio queue draws samples from.

    Samples are plain dictionaries, one row each of what `ShapePatchSampler.samples` gives.

    Args:
        sampler: Draws points and cuts patches, on the CPU.
        chunk: Samples cut at once from one volume.
    """

    def __init__(self, sampler: ShapePatchSampler, chunk: int = 32) -> None:
        super().__init__(1)  # a volume may be smaller than a patch: outside it is zero
        self.sampler = sampler
        self.chunk = chunk

    def _generate_patches(
        self, subject: tio.Subject, num_patches: int | None = None
    ) -> Generator[Any, None, None]:
        """Samples of one subject, without end: a queue takes as many as it wants."""
        pyramid = self.sampler.pyramid(subject.image.data[0][None])
        index = torch.zeros(self.chunk, dtype=torch.long)
        landmarks_mm = subject.landmarks_mm.expand(self.chunk, -1, -1)
        while True:
            samples = self.sampler.samples(pyramid, index, landmarks_mm)
            for one in range(self.chunk):
                yield {key: values[one] for key, values in samples.items()}


def queue_loader(
    volumes: Sequence[Path],
    landmarks_mm: Float[Tensor, "M L 3"],
    sampler: ShapePatchSampler,
    device: torch.device = CPU,
    batch_size: int | None = 64,
    queue_length: int = 512,
    samples_per_volume: int = 64,
    num_workers: int = 0,
    shard: Shard = WHOLE,
) -> tio.SubjectsLoader:
    """Loader of training batches; one epoch takes `samples_per_volume` from every volume.

    Args:
        volumes: Cached working volumes of the training cases.
        landmarks_mm: Landmarks of each case, grid mm, as `ShapePatchSampler.samples` takes them.
        sampler: Cuts the samples.
        device: Not used: samples are cut on the CPU, and the trainer moves the batches.
        batch_size: Samples B of a step; none is `ShapePatchSampler.batch_size`.
        queue_length: Samples that wait in memory to be shuffled.
        samples_per_volume: Samples cut from a volume each time it is read.
        num_workers: Processes that read volumes; 0 reads in the training process.
        shard: Which volumes are those of this process.

    Raises:
        ValueError: The queue cannot hold the samples of one volume, or an epoch has no full batch.
    """
    batch_size = sampler.batch_size(batch_size)
    if queue_length < max(batch_size, samples_per_volume):
        raise ValueError(
            f"loader.queue_length={queue_length}: give at least loader.batch_size={batch_size} "
            f"and loader.samples_per_volume={samples_per_volume}"
        )
    if len(volumes) * samples_per_volume < batch_size:
        raise ValueError(
            f"loader.samples_per_volume={samples_per_volume}: {len(volumes)} training volumes do "
            f"not fill a batch of {batch_size}; raise it or lower loader.batch_size"
        )
    # As many as every other process has.
    number = math.ceil(len(volumes) / shard.count)
    own = [(shard.rank + shard.count * one) % len(volumes) for one in range(number)]
    subjects = [
        tio.Subject(image=tio.ScalarImage(volumes[one]), landmarks_mm=landmarks_mm[one])
        for one in own
    ]
    if shard.rank > 0:
        sampler.generator.manual_seed(sampler.seed + shard.rank)
    queue = tio.Queue(
        tio.SubjectsDataset(subjects),
        max_length=queue_length,
        samples_per_volume=samples_per_volume,
        sampler=QueueSampler(sampler),
        num_workers=num_workers,
        start_background=False,
    )
    # The queue has the only workers there may be; the outer loader just pops and stacks.
    return tio.SubjectsLoader(queue, batch_size=batch_size, num_workers=0, drop_last=True)

"""Paper-style streaming loader: random-point patches through a torchio queue.

Draws depend only on the seed, the pass over the volumes, and the place of a volume in the pass, so
that a training can resume anywhere without reading earlier volumes again.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torchio as tio
from torch.utils.data import DataLoader

from pin_lightning.common.types import Float, Tensor
from pin_lightning.distributed.random_states import seed_of
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.sampling import OnTrajectories
from pin_lightning.training.samples.passes import FILL, PassDataset, PassSampler
from pin_lightning.training.samples.resumable import ResumableLoader
from pin_lightning.training.samples.sampler import ShapePatchSampler

CPU = torch.device("cpu")
CHUNK = 32  # samples cut at once from one volume


class QueueSampler(tio.data.PatchSampler):
    """Sampler of a torchio queue, by a `ShapePatchSampler` on the CPU.

    Samples are plain dictionaries, each a row of a batch of `ShapePatchSampler.samples`.
    """

    def __init__(self, sampler: ShapePatchSampler) -> None:
        super().__init__(1)  # a volume may be smaller than a patch: outside it is zero
        self.sampler = sampler
        self.epoch = 0

    def _generate_patches(
        self, subject: tio.Subject, num_patches: int | None = None
    ) -> Generator[Any, None, None]:
        """Draw samples of one subject endlessly: a queue takes as many as it wants."""
        sampler = self.sampler
        sampler.generator.manual_seed(seed_of(sampler.seed, self.epoch, subject.place))
        pyramid = sampler.pyramid(subject.image.data[0][None])
        index = torch.zeros(CHUNK, dtype=torch.long)
        landmarks_mm = subject.landmarks_mm.expand(CHUNK, -1, -1)
        while True:
            samples = sampler.samples(pyramid, index, landmarks_mm)
            for one in range(CHUNK):
                yield {key: values[one] for key, values in samples.items()}


class PassQueue(tio.Queue):
    """A torchio queue that can begin anywhere in a pass, and leaves torch's own generator alone.

    Each fill takes all samples of `volumes_per_fill` volumes, which are shuffled in memory.
    """

    def __init__(
        self,
        dataset: PassDataset,
        sampler: QueueSampler,
        order: PassSampler,
        volumes_per_fill: int,
        samples_per_volume: int,
        num_workers: int,
    ) -> None:
        self.order = order
        self.draws = sampler
        super().__init__(
            cast(tio.SubjectsDataset, dataset),
            max_length=volumes_per_fill * samples_per_volume,
            samples_per_volume=samples_per_volume,
            sampler=sampler,
            subject_sampler=order,
            num_workers=num_workers,
            shuffle_subjects=False,
            start_background=False,
        )
        self.volumes_per_fill = volumes_per_fill
        self.fill = 0
        self.dropped = 0
        self.offsets_mm: Tensor | None = None  # with which the samples in memory were drawn

    def begin(self, epoch: int, given: int) -> None:
        """Begin a pass after `given` samples, reading only volumes whose samples were in memory."""
        self.fill, self.dropped = divmod(given, self.max_length)
        self.draws.epoch = epoch
        self.order.begin(epoch, self.fill * self.volumes_per_fill)
        self.patches_list = []
        self._initialize_subjects_iterable()
        if self.dropped:
            now = self._trajectories(self.offsets_mm)
            for _ in range(self.dropped):
                self[0]
            self.offsets_mm = self._trajectories(now)

    def _trajectories(self, offsets_mm: Tensor | None) -> Tensor | None:
        """Set the offsets of samples on trajectories, and return those of before."""
        sampling = self.draws.sampler.sampling
        if not isinstance(sampling, OnTrajectories):
            return None
        before, sampling.offsets_mm = sampling.offsets_mm, offsets_mm
        return before

    def _fill(self) -> None:
        sampling = self.draws.sampler.sampling
        if isinstance(sampling, OnTrajectories):
            self.offsets_mm = sampling.offsets_mm
        super()._fill()

    @property
    def iterations_per_epoch(self) -> int:
        """Number of samples until the end of the pass."""
        return len(self.order) * self.samples_per_volume - self.dropped

    def _get_subjects_iterable(self) -> Iterator[tio.Subject | str]:
        self._num_sampled_subjects = 0
        loader = DataLoader(
            self.subjects_dataset,
            batch_size=None,
            collate_fn=_as_it_is,
            sampler=self.order,
            num_workers=self.num_workers,
            generator=torch.Generator(),
        )
        return iter(loader)

    def _get_next_subject(self) -> tio.Subject:
        subject = super()._get_next_subject()
        if isinstance(subject, str):
            raise ValueError(subject)
        return subject

    def _shuffle_patches_list(self) -> None:
        sampler = self.draws.sampler
        first = self.fill * self.order.shard.count + self.order.shard.rank
        seed = seed_of(sampler.seed, self.draws.epoch, FILL - first)
        generator = torch.Generator().manual_seed(seed)
        indices = torch.randperm(self.num_patches, generator=generator)
        self.patches_list = [self.patches_list[index] for index in indices]
        self.fill += 1


class QueueLoader(ResumableLoader):
    """Batches from a torchio queue; an epoch is one pass over the volumes."""

    def __init__(self, queue: PassQueue, batch_size: int) -> None:
        self.queue = queue
        self.batch_size = batch_size
        queue.order.begin(0, 0)
        self.batches = queue.iterations_per_epoch // batch_size

    def __len__(self) -> int:
        return self.batches

    def _rest(self) -> Iterator[dict[str, Tensor]]:
        if self.given >= len(self):  # possible if fewer processes shared the pass before
            return
        self.queue.begin(self.epoch, self.given * self.batch_size)
        # Only the queue may have workers; this loader just pops and stacks.
        yield from tio.SubjectsLoader(
            self.queue,
            batch_size=self.batch_size,
            num_workers=0,
            drop_last=True,
            generator=torch.Generator(),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the pass, and the offsets of the samples in memory."""
        return {**super().state_dict(), "offsets_mm": self.queue.offsets_mm}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of `state_dict`."""
        super().load_state_dict(state_dict)
        self.queue.offsets_mm = state_dict.get("offsets_mm")  # not from loader=resident


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
) -> QueueLoader:
    """Make a loader of training batches whose epochs take `samples_per_volume` of every volume.

    Args:
        volumes: Cached working volumes of the training cases.
        landmarks_mm: Landmarks of each case, grid mm, as `ShapePatchSampler.samples` takes them.
        sampler: Cuts the samples.
        device: Unused: samples are cut on the CPU, and the trainer moves the batches.
        batch_size: Samples B of a step; None is the default of the sampler.
        queue_length: Samples that wait in memory to be shuffled, at most.
        samples_per_volume: Samples cut from a volume each time it is read.
        num_workers: Processes that read volumes; 0 reads in the training process.
        shard: The part of this process of the volumes of each pass.

    Raises:
        ValueError: The queue cannot hold the samples of one volume, or an epoch has no full batch.
    """
    batch_size = sampler.batch_size(batch_size)
    if queue_length < max(batch_size, samples_per_volume):
        raise ValueError(
            f"loader.queue_length={queue_length}: give at least loader.batch_size={batch_size} "
            f"and loader.samples_per_volume={samples_per_volume}"
        )
    order = PassSampler(len(volumes), sampler.seed, shard)
    if len(order) * samples_per_volume < batch_size:
        raise ValueError(
            f"loader.samples_per_volume={samples_per_volume}: {len(order)} training volumes do "
            f"not fill a batch of {batch_size}; raise it or lower loader.batch_size"
        )
    queue = PassQueue(
        PassDataset(volumes, landmarks_mm),
        QueueSampler(sampler),
        order,
        queue_length // samples_per_volume,
        samples_per_volume,
        num_workers,
    )
    return QueueLoader(queue, batch_size)


def _as_it_is(subject: Any) -> Any:
    return subject

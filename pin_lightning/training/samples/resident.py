"""Fast loader: all working volumes in memory, whole batches cut by one gather."""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pin_lightning.common.files import whole_file
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.volume_cache import STACK, load_volume
from pin_lightning.distributed.group import first_before_others, least_of_all
from pin_lightning.distributed.process import return_freed_memory
from pin_lightning.distributed.random_states import seed_of
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.patches import BorderedVolumes, bordered_size
from pin_lightning.method.pyramid import Pyramid, coarser, coarser_grid, coarser_size
from pin_lightning.training.samples.drawing import SampleDrawing
from pin_lightning.training.samples.resumable import ResumableLoader

log = logging.getLogger(__name__)

GB = 1e9
CPU = torch.device("cpu")


class ResidentLoader(ResumableLoader):
    """Batches of random-point patches, each sample from a volume at random (authors' code).

    Volumes are 8-bit and stay on the device that trains, where a batch is cut at once. If there is
    room they are laid out twice (`BorderedVolumes`), which makes cutting several times faster. If
    they do not fit at all, they go into one file that is mapped: the system keeps what it has room
    for, and batches are cut on the CPU.

    Args:
        volumes: Cached working volumes of the training cases, all on the sampler's grid.
        shapes_mm: Landmarks of each case, grid mm, as `SampleDrawing.samples` takes them.
        sampler: Draws and cuts samples.
        device: Device that trains.
        batch_size: Samples B of a step; None is the default of the sampler.
        batches_per_epoch: Batches from one chance of validation and checkpoints to the next.
        memory_gb: Memory for the volumes; None is `memory_budget_gb`.
        shard: The B samples that this process cuts of each step that all processes share.
    """

    def __init__(
        self,
        volumes: Sequence[Path],
        shapes_mm: Float[Tensor, "M L 3"],
        sampler: SampleDrawing,
        device: torch.device = CPU,
        batch_size: int | None = 64,
        batches_per_epoch: int = 100,
        memory_gb: float | int | None = None,
        shard: Shard = WHOLE,
    ) -> None:
        if batches_per_epoch < 1:
            raise ValueError(f"loader.batches_per_epoch={batches_per_epoch}: give 1 or more")
        self.volumes = volumes
        neighbours = shard.count // shard.machines
        budget_gb = memory_budget_gb(device, neighbours) if memory_gb is None else memory_gb
        sizes = [coarser_size(sampler.grid.size, factor) for factor in sampler.patch_spacings]
        voxels = sum(bordered_size(len(volumes), size)[0] for size in sizes)
        # Machines may differ, but all processes must choose alike: they wait for one another.
        self.times_it_fits = least_of_all(int(budget_gb * GB) // voxels, shard, device)
        self.sampler = sampler.on(device if self.times_it_fits else CPU, shard)
        self.shapes_mm = shapes_mm.to(self.sampler.generator.device)
        self.batch_size = sampler.batch_size(batch_size)
        self.batches_per_epoch = batches_per_epoch

    def __len__(self) -> int:
        return self.batches_per_epoch

    def _rest(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(self.given, len(self)):
            yield self.draw(self.batch_size * self.sampler.shard.count)

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch and the generator's state, equal in all processes."""
        return {**super().state_dict(), "generator": self.sampler.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of `state_dict`, with other draws on another kind of device.

        After `loader=queue` draws are others, too.
        """
        super().load_state_dict(state_dict)
        generator, saved = self.sampler.generator, state_dict.get("generator")
        if saved is not None and saved.shape == generator.get_state().shape:
            generator.set_state(saved.cpu())
            return
        log.info("samples were drawn otherwise before: from here on by other random numbers")
        generator.manual_seed(seed_of(self.sampler.seed, self.epoch, self.given))

    @cached_property
    def pyramid(self) -> Pyramid:
        """The volumes, loaded when they are first needed."""
        grid, spacings = self.sampler.grid, self.sampler.patch_spacings
        return_freed_memory()  # of preprocessing
        levels = tuple(self._load_level(factor) for factor in spacings)
        grids = tuple(coarser_grid(grid, factor) for factor in spacings)
        return Pyramid(levels, grids).to(self.sampler.generator.device)

    def _load_level(self, factor: int) -> BorderedVolumes:
        size = self.sampler.grid.size
        if self.times_it_fits == 0:
            with first_before_others(self.sampler.shard):
                return map_volumes(self.volumes, size, factor)
        return stack_volumes(self.volumes, size, self.times_it_fits > 1, factor)

    def draw(self, count: int) -> dict[str, Tensor]:
        """Draw samples of all processes, and cut those of this one."""
        generator = self.sampler.generator
        number, device = (count,), generator.device
        index = torch.randint(len(self.volumes), number, generator=generator, device=device)
        return self.sampler.samples(self.pyramid, index, self.shapes_mm[index])


def stack_volumes(
    volumes: Sequence[Path], size: tuple[int, int, int], turned: bool, factor: int = 1
) -> BorderedVolumes:
    """Load cached volumes of a size into memory, coarser by a factor, twice if `turned`."""
    length, shape = bordered_size(len(volumes), coarser_size(size, factor), turned)
    bordered = BorderedVolumes(torch.zeros(length, dtype=torch.uint8), shape)
    return _filled(bordered, volumes, factor)


def map_volumes(
    volumes: Sequence[Path], size: tuple[int, int, int], factor: int = 1
) -> BorderedVolumes:
    """Map cached volumes of a size, coarser by a factor, as one file beside the first of them."""
    length, shape = bordered_size(len(volumes), coarser_size(size, factor))
    names = "".join(path.name for path in volumes)  # which change with the volumes
    digest = hashlib.sha256(names.encode()).hexdigest()[:12]
    level = f"_{factor}" if factor > 1 else ""
    file = volumes[0].parent / STACK.format(f"{digest}{level}")
    if not file.is_file() or file.stat().st_size != length:
        with whole_file(file) as temporary:
            _reserve(temporary, length)
            mapped = np.memmap(temporary, np.uint8, "r+", shape=length)
            _filled(BorderedVolumes(torch.from_numpy(mapped), shape), volumes, factor)
            mapped.flush()
    with suppress(OSError):  # of somebody else
        os.utime(file)  # `cache_volumes` removes what was not used for a month
    return BorderedVolumes(torch.from_numpy(np.memmap(file, np.uint8, "c", shape=length)), shape)


def _reserve(path: Path, length: int) -> None:
    """Make a file of zeros; a full disk is an error now, but would kill the process later."""
    with path.open("wb") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, length)
            file.truncate(length)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path.parent)) from error


def _filled(bordered: BorderedVolumes, volumes: Sequence[Path], factor: int) -> BorderedVolumes:
    for index, path in enumerate(volumes):
        bordered.set(index, coarser(load_volume(path).intensity[None], factor)[0])
    return bordered


def memory_budget_gb(device: torch.device, processes: int = 1) -> float:
    """Memory for volumes: half of a GPU's free memory, or a tenth of the machine's.

    The processes of a machine share its tenth; each has a GPU to itself. A tenth is little, but a
    mapped file is slower only if memory is short.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / GB / 2
    if not hasattr(os, "sysconf"):  # Windows
        return 1.0 / processes
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB / 10 / processes

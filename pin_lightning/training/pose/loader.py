"""Training batches of the pose stage: patches at poses near and far from the true ones."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch

from pin_lightning.common.types import Bool, Float, Int, Tensor, UInt8
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.limits import RIGHT_SHARE
from pin_lightning.method.pose.network import scaled
from pin_lightning.method.pose.rigid import Poses, half_turns
from pin_lightning.method.pose.samples import PoseSampling, draw_box, noisy
from pin_lightning.method.pose.scans import Scans
from pin_lightning.training.samples.resumable import ResumableLoader

BATCHES_PER_EPOCH = 100  # epochs play no role


class PoseLoader(ResumableLoader):
    """Batches of poses drawn in scans that stay in memory.

    All processes draw all samples of a step alike; each cuts those of its shard.

    Args:
        finder: Lays out scans and cuts patches.
        levels: Scans of the training cases, at each spacing.
        poses: Their true poses.
        landmarks_mm: Their landmarks that the finder looks at, in scan mm, NaN where unknown.
        batch_size: Samples B of a step in each process.
        seed: Seed of the draws.
        device: Device that trains.
        shard: Part of this process.
    """

    def __init__(
        self,
        finder: PoseFinder,
        levels: Sequence[Sequence[UInt8[Tensor, "_ _ _"]]],
        poses: Poses,
        landmarks_mm: Float[Tensor, "M L 3"],
        batch_size: int,
        seed: int,
        device: torch.device,
        shard: Shard = WHOLE,
    ) -> None:
        self.finder = finder
        self.device = device
        self.scans = [one.to(device) for one in finder.scans(levels)]
        self.poses = poses
        self.landmarks_mm = landmarks_mm
        self.batch_size = batch_size
        self.shard = shard
        self.sampling = PoseSampling(finder.rotations, finder.extent_mm)
        self.half_turns = half_turns(finder.mean_mm_.cpu())
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return BATCHES_PER_EPOCH

    def _rest(self) -> Any:
        for _ in range(self.given, len(self)):
            yield self._batch()

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch and the generator's state, equal in all processes."""
        return {**super().state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of `state_dict`."""
        super().load_state_dict(state_dict)
        self.generator.set_state(state_dict["generator"].cpu())

    def _batch(self) -> dict[str, Tensor]:
        count, generator = self.batch_size * self.shard.count, self.generator
        index = torch.randint(len(self.landmarks_mm), (count,), generator=generator)
        poses = self.sampling.draw(self.poses.take(index), self.half_turns, generator)
        box = draw_box(self._half_mm(index), generator)
        own = slice(self.shard.rank * self.batch_size, (self.shard.rank + 1) * self.batch_size)
        index, poses, box = index[own], poses.take(own), box.take(own, self.device)
        there = (index.to(self.device), poses.to(self.device))
        patches, centres_mm = self.finder.patches(self.scans, *there, box=box)
        offsets_mm = self.landmarks_mm[index] - centres_mm.cpu()
        target = torch.linalg.solve(poses.linear[:, None], offsets_mm[..., None])[..., 0]
        known = torch.isfinite(target).all(dim=-1)
        return {
            "patches": noisy(scaled(patches), count, own, generator),
            "target": torch.nan_to_num(target / self.finder.unit_mm).to(self.device),
            "known": known.float().to(self.device),
            "is_right": self._is_right(offsets_mm, known).to(self.device),
        }

    def _is_right(
        self, offsets_mm: Float[Tensor, "B L 3"], known: Bool[Tensor, "B L"]
    ) -> Float[Tensor, " B"]:
        """1 for poses that place the landmarks nearly where they are."""
        apart_mm = torch.where(known, offsets_mm.norm(dim=-1), 0).sum(dim=1)
        mean_mm = apart_mm / known.sum(dim=1).clamp(min=1)
        return (mean_mm <= RIGHT_SHARE * self.finder.extent_mm).float()

    def _half_mm(self, index: Int[Tensor, " N"]) -> Float[Tensor, "N 3"]:
        """Half the sides of scans."""
        finest: Scans = self.scans[0]
        return (finest.size.cpu()[index] - 2 * finest.border) * finest.spacing_mm / 2


class PoseDataModule(pl.LightningDataModule):
    """Training batches of the pose stage; nothing validates.

    Args:
        make: Makes the loader from device and shard.
    """

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def train_dataloader(self) -> Any:
        """Make the loader."""
        if not self.trainer:
            return self.make(torch.device("cpu"), WHOLE)
        trainer = self.trainer
        shard = Shard(trainer.global_rank, trainer.world_size, trainer.num_nodes)
        return self.make(trainer.strategy.root_device, shard)

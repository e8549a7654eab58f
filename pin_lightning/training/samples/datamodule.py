"""LightningDataModule of training samples and of whole volumes for validation."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.training.samples.drawing import SampleDrawing


class VolumeDataset(Dataset[dict[str, Any]]):
    """Whole working volumes with their landmarks, for the full iterative procedure."""

    def __init__(self, cases: Sequence[AnnotatedCase], volumes: Mapping[str, Path]) -> None:
        self.cases = cases
        self.volumes = volumes

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, Any]:
        annotated = self.cases[index]
        volume = load_volume(self.volumes[annotated.case.name])
        return {"volume": volume.intensity, "landmarks_mm": annotated.landmarks_mm}


def cases_of(shard: Shard, cases: Sequence[AnnotatedCase]) -> list[AnnotatedCase]:
    """Cases of a process, padded to equal length so that no process waits for another for ever.

    The padding is the first case without landmarks, which no metric counts.
    """
    own = list(shard.of(cases))
    if len(own) * shard.count < len(cases):
        own.append(replace(cases[0], landmarks_mm=torch.full_like(cases[0].landmarks_mm, math.nan)))
    return own


class LandmarkDataModule(pl.LightningDataModule):
    """Training batches and validation cases.

    Args:
        train: Training cases.
        shapes_mm: Their landmarks [M, L, 3], as `SampleDrawing.samples` takes them.
        val: Validation cases; metrics leave out missing landmarks.
        volumes: Working volume files by case name.
        sampler: Cuts the training samples.
        loader: Makes the training loader from volumes, landmarks, sampler and device, and the
            ``shard`` of this process.
    """

    def __init__(
        self,
        train: Sequence[AnnotatedCase],
        shapes_mm: Float[Tensor, "M L 3"],
        val: Sequence[AnnotatedCase],
        volumes: Mapping[str, Path],
        sampler: SampleDrawing,
        loader: Callable[..., Any],
    ) -> None:
        super().__init__()
        self.train = train
        self.shapes_mm = shapes_mm
        self.val = val
        self.volumes = volumes
        self.sampler = sampler
        self.loader = loader

    @property
    def shard(self) -> Shard:
        """The part of this process."""
        if not self.trainer:
            return WHOLE
        return Shard(self.trainer.global_rank, self.trainer.world_size, self.trainer.num_nodes)

    def train_dataloader(self) -> Any:
        """Make the loader of samples of the training cases."""
        volumes = [self.volumes[annotated.case.name] for annotated in self.train]
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return self.loader(volumes, self.shapes_mm, self.sampler, device, shard=self.shard)

    def val_dataloader(self) -> Any:
        """Make the loader of whole validation cases, one at a time; none without cases."""
        dataset = VolumeDataset(cases_of(self.shard, self.val), self.volumes)
        return DataLoader(dataset, batch_size=1) if len(dataset) else []

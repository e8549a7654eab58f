"""LightningDataModule: working volumes and landmarks of a split, streamed for training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from pin_lightning.data.sampler import ShapePatchSampler
from pin_lightning.inspection import AnnotatedCase
from pin_lightning.preprocessing import load_volume
from pin_lightning.types import Float, Tensor


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


class LandmarkDataModule(pl.LightningDataModule):
    """Training batches of random-point patches and validation cases.

    Args:
        train: Training cases.
        shapes_mm: Their landmarks [M, L, 3], as `ShapePatchSampler.samples` takes them.
        val: Validation cases; metrics leave out what they lack.
        volumes: Working volume files by case name.
        sampler: Cuts the training samples.
        loader: Makes the training loader from volumes, landmarks, sampler and device.
    """

    def __init__(
        self,
        train: Sequence[AnnotatedCase],
        shapes_mm: Float[Tensor, "M L 3"],
        val: Sequence[AnnotatedCase],
        volumes: Mapping[str, Path],
        sampler: ShapePatchSampler,
        loader: Callable[..., Any],
    ) -> None:
        super().__init__()
        self.train = train
        self.shapes_mm = shapes_mm
        self.val = val
        self.volumes = volumes
        self.sampler = sampler
        self.loader = loader

    def train_dataloader(self) -> Any:
        """Random-point patches of the training cases, from `loader`."""
        volumes = [self.volumes[annotated.case.name] for annotated in self.train]
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return self.loader(volumes, self.shapes_mm, self.sampler, device)

    def val_dataloader(self) -> Any:
        """Whole validation cases, one at a time; no loader when there are none."""
        dataset = VolumeDataset(self.val, self.volumes)
        return DataLoader(dataset, batch_size=1) if len(dataset) else []

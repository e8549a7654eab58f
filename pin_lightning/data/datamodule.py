"""LightningDataModule: working volumes and landmarks of a split, streamed for training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from pin_lightning.cases import Case, Split
from pin_lightning.data.sampler import ShapePatchSampler
from pin_lightning.geometry import Grid, grid_affine, world_to_mm
from pin_lightning.landmark_files import read_landmarks
from pin_lightning.landmarks import LandmarkSet
from pin_lightning.preprocessing import cache_volumes, load_volume, read_header
from pin_lightning.types import Float, Tensor


@dataclass(frozen=True)
class AnnotatedCase:
    """A case with its landmarks in both frames.

    Attributes:
        case: Where its files are.
        landmarks: The landmarks to localise, world RAS+ mm.
        affine: Working volume's ijk to world RAS+ mm [4, 4].
        landmarks_mm: The same positions in grid millimetres [L, 3].
    """

    case: Case
    landmarks: LandmarkSet
    affine: np.ndarray
    landmarks_mm: Float[Tensor, "L 3"]


def annotate(case: Case, names: Sequence[str], grid: Grid) -> AnnotatedCase:
    """Read a case's landmarks and express them in the frame of its working volume.

    Raises:
        ValueError: The case has no landmark file, or a file cannot be read.
    """
    if case.landmarks is None:
        raise ValueError(f"{case.image}: has no landmark file")
    landmarks = read_landmarks(case.landmarks).select(names)
    shape, image_affine = read_header(case.image)
    affine = grid_affine(image_affine, shape, grid)
    positions_mm = world_to_mm(landmarks.positions_world, affine, grid)
    return AnnotatedCase(case, landmarks, affine, torch.from_numpy(positions_mm).float())


class VolumeDataset(Dataset[dict[str, Any]]):
    """Whole working volumes with their landmarks, for the full iterative procedure."""

    def __init__(self, cases: Sequence[AnnotatedCase], volumes: dict[str, Path]) -> None:
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
        cases: All annotated cases of the run.
        split: Which of them train and which validate.
        grid: Working grid.
        cache_dir: Folder of the working volumes, filled on first use.
        sampler: Cuts the training samples.
        loader: Makes the training loader from volumes, landmarks and sampler.
    """

    def __init__(
        self,
        cases: Sequence[AnnotatedCase],
        split: Split,
        grid: Grid,
        cache_dir: Path,
        sampler: ShapePatchSampler,
        loader: Callable[..., Any],
    ) -> None:
        super().__init__()
        self.cases = {annotated.case.name: annotated for annotated in cases}
        self.split = split
        self.grid = grid
        self.cache_dir = cache_dir
        self.sampler = sampler
        self.loader = loader
        self.volumes: dict[str, Path] = {}

    def prepare_data(self) -> None:
        """Resample every training and validation case once, with a progress bar."""
        self._cache_volumes()

    def setup(self, stage: str | None = None) -> None:
        """Find the cached working volumes."""
        self.volumes = self._cache_volumes()

    def train_dataloader(self) -> Any:
        """Random-point patches of the training cases, from `loader`."""
        cases = self.select(self.split.train)
        shapes_mm = torch.stack([annotated.landmarks_mm for annotated in cases])
        volumes = [self.volumes[annotated.case.name] for annotated in cases]
        return self.loader(volumes, shapes_mm, self.sampler)

    def val_dataloader(self) -> Any:
        """Whole validation cases, one at a time; no loader when the split has none."""
        dataset = VolumeDataset(self.select(self.split.val), self.volumes)
        return DataLoader(dataset, batch_size=1) if len(dataset) else []

    def select(self, names: Sequence[str]) -> list[AnnotatedCase]:
        """Annotated cases by name."""
        return [self.cases[name] for name in names]

    def _cache_volumes(self) -> dict[str, Path]:
        cases = self.select([*self.split.train, *self.split.val])
        return cache_volumes([annotated.case for annotated in cases], self.grid, self.cache_dir)

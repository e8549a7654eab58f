"""Volumes on which the files of an export are compared with PyTorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch.nn import functional

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Tensor, UInt8
from pin_lightning.runs.folds import is_folds_folder, read_folds
from pin_lightning.runs.mean_volume import read_mean_volume

VOLUMES = 3
Volumes: TypeAlias = UInt8[Tensor, "V X Y Z"]
_SHIFT, _GAIN, _NOISE = 0.02, 0.9, 4.0  # of each side; of the intensity; SD in grey levels


def volumes_of_run(run: Path, grid: Grid) -> Volumes:
    """Volumes like those of a run's training, or synthetic ones for a run that keeps no mean."""
    folders = read_folds(run) if is_folds_folder(run) else [run]
    kept = [read_mean_volume(folder, grid) for folder in folders[:VOLUMES]]
    means = [one for one in kept if one is not None]
    return like_training(means) if means else synthetic_volumes(grid, VOLUMES, seed=0)


def like_training(means: Sequence[UInt8[Tensor, "X Y Z"]]) -> Volumes:
    """Make volumes that differ as scans do: a mean, one shifted and dimmed, and one with noise.

    Args:
        means: Mean training volumes, one for each fold; the first few are taken in turn.
    """
    plain, dim, noisy = (means[index % len(means)].float() for index in range(VOLUMES))
    generator = torch.Generator().manual_seed(0)
    noisy = noisy + _NOISE * torch.randn(noisy.shape, generator=generator) * (noisy > 0)
    ahead = [round(_SHIFT * side) for side in plain.shape]
    made = [plain, _GAIN * shifted(dim, ahead), shifted(noisy, [-one for one in ahead])]
    return torch.stack(made).round().clamp(0, 255).to(torch.uint8)


def shifted(volume: Tensor, voxels: Sequence[int]) -> Tensor:
    """Shift a volume by whole voxels along its axes; zeros come in.

    >>> shifted(torch.tensor([[[1, 2, 3]]]), (0, 0, 1))
    tensor([[[0, 1, 2]]])
    """
    pairs = [(amount, -amount) for amount in reversed(voxels)]
    return functional.pad(volume, [amount for pair in pairs for amount in pair])


def synthetic_volumes(grid: Grid, count: int, seed: int) -> Volumes:
    """Draw volumes of soft blobs under fine noise, so that no patch is empty."""
    generator = torch.Generator().manual_seed(seed)
    few = [max(2, side // 8) for side in grid.size]
    blobs = torch.rand(count, 1, *few, generator=generator)
    smooth = functional.interpolate(blobs, size=grid.size, mode="trilinear")[:, 0]
    noise = torch.rand(smooth.shape, generator=generator)
    return (255 * (0.9 * smooth + 0.1 * noise)).round().to(torch.uint8)

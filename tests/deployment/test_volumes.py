import numpy as np
import pytest
import torch
from scipy import ndimage
from small_localizers import GRID

from pin_lightning.deployment.volumes import (
    like_training,
    shifted,
    synthetic_volumes,
    volumes_of_run,
)
from pin_lightning.runs.folds import write_folds


def test_synthetic_volumes_use_the_range_and_are_drawn_once():
    found = synthetic_volumes(GRID, 3, seed=1)
    assert found.shape == (3, *GRID.size)
    assert found.dtype == torch.uint8
    assert found.float().std() > 20
    assert torch.equal(found, synthetic_volumes(GRID, 3, seed=1))
    assert not torch.equal(found, synthetic_volumes(GRID, 3, seed=2))


def test_shifts_as_scipy_does():
    volume = torch.rand(6, 5, 7, generator=torch.Generator().manual_seed(0))
    for voxels in ((0, 0, 0), (2, -1, 3), (-6, 0, 1)):
        expected = ndimage.shift(volume.numpy(), voxels, order=0)
        np.testing.assert_array_equal(shifted(volume, voxels), expected)


def test_a_mean_is_shifted_and_dimmed_by_hand():
    mean = torch.zeros(50, 50, 50, dtype=torch.uint8)
    mean[10, 20, 30] = 100
    plain, dim, noisy = like_training([mean])
    assert torch.equal(plain, mean)
    assert dim.nonzero().tolist() == [[11, 21, 31]]
    assert dim[11, 21, 31] == 90
    assert noisy.nonzero().tolist() == [[9, 19, 29]]
    assert noisy[9, 19, 29] != 100


def test_folds_are_taken_in_turn():
    means = [torch.full((4, 4, 4), value, dtype=torch.uint8) for value in (100, 200)]
    plain, dim, noisy = like_training(means)
    assert (plain.unique(), dim.unique()) == (100, 180)
    assert abs(noisy.float().mean() - 100) < 4


@pytest.mark.parametrize("folds", [0, 2])
def test_runs_that_keep_means_and_runs_that_do_not(folds, tmp_path, monkeypatch):
    if folds:
        write_folds(tmp_path, folds)
    folders = [tmp_path / f"fold{fold}" for fold in range(folds)] or [tmp_path]
    monkeypatch.setattr("pin_lightning.deployment.volumes.read_folds", lambda _: folders)
    assert torch.equal(volumes_of_run(tmp_path, GRID), synthetic_volumes(GRID, 3, seed=0))
    means = {folder: torch.full(GRID.size, 9 + i).byte() for i, folder in enumerate(folders)}
    read = "pin_lightning.deployment.volumes.read_mean_volume"
    monkeypatch.setattr(read, lambda folder, _: means[folder])
    expected = like_training(list(means.values()))
    assert torch.equal(volumes_of_run(tmp_path, GRID), expected)

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d, map_coordinates

from pin_lightning.common.geometry import Grid
from pin_lightning.distributed.ranks import Shard
from pin_lightning.method.patches import add_border
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.augmentation.intensity import change_intensity
from pin_lightning.training.augmentation.warped_patches import cut_warped_patches
from pin_lightning.training.augmentation.whole_volumes import change_volumes, warped_volumes

GRID = Grid((15, 11, 13), 2.0)
STRONG = {"rotation_sd_degrees": 12.0, "scale_sd": 0.1, "shear_sd": 0.05, "shift_sd": 0.05}
ELASTIC = {**STRONG, "elastic_sd": 0.01, "flip_probability": 0.5}
SEEN = {"gain_sd": 0.2, "offset_sd": 0.1, "gamma_sd": 0.2, "bias_sd": 0.2, "dark_probability": 1.0}


def volumes(count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, (count, *GRID.size), generator=generator).float()


def warp_of(settings, count=2, seed=1):
    augmentation = Augmentation.of(**settings)
    return augmentation.draw_warp(count, GRID, torch.Generator().manual_seed(seed))


def test_without_a_map_volumes_stay_as_they_are():
    given = volumes().byte()
    index = torch.tensor([1, 0, 1])
    torch.testing.assert_close(warped_volumes(add_border(given), index, None, GRID), given[index])


@pytest.mark.parametrize("settings", [STRONG, ELASTIC])
def test_voxels_are_looked_up_where_scipy_does(settings):
    given, warp = volumes(), warp_of(settings)
    found = warped_volumes(add_border(given), torch.tensor([0, 1]), warp, GRID)
    ijk = np.stack(np.meshgrid(*map(np.arange, GRID.size), indexing="ij"), axis=-1)
    points = torch.from_numpy(GRID.ijk_to_mm(ijk.reshape(-1, 3).astype(float))).float()
    original = GRID.mm_to_ijk(warp.to_original(points.expand(2, -1, -1))).double().numpy()
    for volume in range(2):
        expected = map_coordinates(
            np.pad(given[volume].numpy(), 1), original[volume].T + 1, order=1, mode="nearest"
        )
        np.testing.assert_allclose(found[volume].numpy().ravel(), expected, atol=0.05)


@pytest.mark.parametrize("settings", [STRONG, ELASTIC])
def test_patches_of_a_warped_volume_are_those_that_are_cut_without_it(settings):
    given, warp = volumes(), warp_of(settings)
    bordered, index = add_border(given), torch.tensor([0, 1])
    whole = warped_volumes(bordered, index, warp, GRID)
    centre = torch.tensor([[[7.0, 5.0, 6.0]]]).expand(2, -1, -1)
    cut = cut_warped_patches(bordered, index, GRID.ijk_to_mm(centre), warp, GRID, 7, "linear")
    planes = (
        whole[:, 7, 2:9, 3:10],
        whole[:, 4:11, 5, 3:10],
        whole[:, 4:11, 2:9, 6],
    )
    torch.testing.assert_close(torch.stack(planes, dim=1), cut, atol=0.02, rtol=0)


def test_landmarks_follow_the_volume():
    given = torch.zeros(1, *GRID.size)
    given[0, 9, 4, 8] = 200
    warp = warp_of({"rotation_sd_degrees": 12.0, "shift_sd": 0.05}, count=1)
    moved = warped_volumes(add_border(given), torch.tensor([0]), warp, GRID)[0]
    at = torch.stack(torch.meshgrid(*map(torch.arange, GRID.size), indexing="ij"), dim=-1)
    centroid = (moved[..., None] * at).sum(dim=(0, 1, 2)) / moved.sum()
    landmark_mm = GRID.ijk_to_mm(torch.tensor([[[9.0, 4.0, 8.0]]]))
    expected = GRID.mm_to_ijk(warp.from_original(landmark_mm))[0, 0]
    assert (centroid - expected).norm() < 0.3


def test_intensities_change_as_those_of_patches():
    given = volumes()
    augmentation = Augmentation.of(**SEEN)
    intensity = augmentation.draw_intensity(2, GRID, torch.Generator().manual_seed(3))
    whole = change_volumes(given, intensity, GRID, GRID, torch.Generator())
    centre_mm = GRID.ijk_to_mm(torch.tensor([[[7.0, 5.0, 6.0]]])).expand(2, -1, -1)
    patches = torch.stack(
        [given[:, 7, 2:9, 3:10], given[:, 4:11, 5, 3:10], given[:, 4:11, 2:9, 6]], dim=1
    )
    expected = change_intensity(patches, centre_mm, intensity, GRID, torch.Generator())
    planes = [whole[:, 7, 2:9, 3:10], whole[:, 4:11, 5, 3:10], whole[:, 4:11, 2:9, 6]]
    torch.testing.assert_close(torch.stack(planes, dim=1), expected, atol=1e-2, rtol=1e-4)
    assert (whole == 0).any()  # what is dark


def test_a_blur_is_along_all_axes_and_in_voxels_of_the_working_grid():
    given = volumes(1)
    intensity = Augmentation.of(blur_sd_voxels=2.0).draw_intensity(
        1, GRID, torch.Generator().manual_seed(4)
    )
    coarse = Grid(GRID.size, 2 * GRID.spacing_mm)
    found = change_volumes(given, intensity, coarse, GRID, torch.Generator())[0]
    expected = given[0].double().numpy()
    for axis in range(3):
        sigma = float(intensity.blur[0]) / 2
        expected = gaussian_filter1d(expected, sigma, axis, mode="constant", truncate=20)
        weight = gaussian_filter1d(np.ones(GRID.size), sigma, axis, mode="constant", truncate=20)
        expected = expected / weight
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0.05)


def test_processes_draw_the_noise_of_a_single_one():
    given = volumes(4)
    augmentation = Augmentation.of(noise_sd=0.1)
    intensity = augmentation.draw_intensity(4, GRID, torch.Generator().manual_seed(5))
    whole = change_volumes(given, intensity, GRID, GRID, torch.Generator().manual_seed(6))
    for rank in range(2):
        own = slice(rank, None, 2)
        settings = (GRID, GRID, torch.Generator().manual_seed(6), Shard(rank, 2))
        part = change_volumes(given[own], intensity[own], *settings)
        torch.testing.assert_close(part, whole[own])

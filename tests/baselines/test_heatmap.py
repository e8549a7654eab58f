import importlib.util
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass

from pin_lightning.baselines.base import Problem
from pin_lightning.baselines.heatmap import (
    HeatmapRegression,
    block_means,
    enlarged,
    gaussians,
    peaks,
)
from pin_lightning.common.geometry import Grid

GRID = Grid((30, 24, 20), 2.0)
needs_monai = pytest.mark.skipif(
    importlib.util.find_spec("monai") is None,
    reason="MONAI is not installed: pip install 'pin-lightning[baselines]'",
)


def test_a_gaussian_by_hand():
    found = gaussians(torch.tensor([[[1.0, 0.0, 2.0]]]), torch.tensor([2.0]), (3, 2, 4))
    assert found.shape == (1, 1, 3, 2, 4)
    assert found[0, 0, 1, 0, 2] == 1
    assert found[0, 0, 2, 1, 2] == pytest.approx(math.exp(-2 / 8))


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_the_peak_of_a_gaussian_is_found_to_a_twentieth_of_a_voxel(sigma):
    generator = torch.Generator().manual_seed(0)
    size = (40, 36, 44)
    centres = 14 + 8 * torch.rand(1, 60, 3, generator=generator)
    heatmaps = gaussians(centres, torch.full((60,), sigma), size)
    found, width = peaks(heatmaps, math.ceil(3 * sigma / math.sqrt(2)))
    assert (found - centres).norm(dim=-1).max() < 0.05
    # A squared Gaussian has an SD of sigma / sqrt(2) along each axis.
    np.testing.assert_allclose(width, sigma * math.sqrt(1.5), rtol=0.05)


def test_a_peak_is_the_centroid_of_the_squared_values_around_it():
    generator = torch.Generator().manual_seed(1)
    heatmaps = torch.rand(2, 3, 9, 8, 7, generator=generator) - 0.3
    found, _ = peaks(heatmaps, 2)
    for volume in range(2):
        for landmark in range(3):
            squared = heatmaps[volume, landmark].clamp(min=0).square().numpy()
            best = np.unravel_index(squared.argmax(), squared.shape)
            window = tuple(slice(max(one - 2, 0), one + 3) for one in best)
            first = np.array([one.start for one in window])
            expected = first + center_of_mass(squared[window])
            np.testing.assert_allclose(found[volume, landmark], expected, rtol=1e-5)


def test_without_any_positive_value_there_is_a_place_all_the_same():
    found, width = peaks(torch.full((1, 1, 6, 6, 6), -1.0), 2)
    assert torch.isfinite(found).all()
    assert torch.isfinite(width).all()


def test_blocks_are_averaged_and_enlarged_as_torch_does():
    generator = torch.Generator().manual_seed(2)
    values = torch.rand(2, 3, 8, 12, 16, generator=generator)
    means = block_means(values)
    torch.testing.assert_close(means, torch.nn.functional.avg_pool3d(values, 4))
    expected = torch.nn.functional.interpolate(means, scale_factor=4, mode="trilinear")
    torch.testing.assert_close(enlarged(means), expected)


@needs_monai
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("most_voxels", 10),
        ("sigma_voxels", 0.1),
        ("sigma_penalty", -1.0),
        ("widths", [4]),
        ("context_width", 0),
        ("context_kernel", 4),
    ],
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=rf"system\.{setting}="):
        HeatmapRegression(Problem(GRID, 2), **{setting: value})


@pytest.fixture(scope="module")
def system():
    torch.manual_seed(0)
    settings = {"widths": (4, 8, 8), "context_width": 4, "context_kernel": 3}
    return HeatmapRegression(Problem(GRID, 3), most_voxels=2000, **settings)


class Known(torch.nn.Module):
    """Heatmaps that are known."""

    def __init__(self, heatmaps):
        super().__init__()
        self.heatmaps = heatmaps

    def forward(self, volumes):
        return self.heatmaps[: len(volumes)]


@needs_monai
@pytest.mark.slow
class TestNetwork:
    """MONAI takes seconds to import."""

    def test_any_size_has_a_heatmap_of_its_own_size(self, system):
        for size in ((15, 12, 10), (17, 5, 9), (2, 3, 1)):
            assert system.network(torch.zeros(2, *size)).shape == (2, 3, *size)

    def test_at_first_the_configuration_lets_all_through(self, system):
        volumes = 255 * torch.rand(1, 16, 12, 12)
        local = system.network.local((volumes / 255)[:, None])
        torch.testing.assert_close(system.network(volumes), local)

    def test_the_loss_of_no_heatmap_is_about_one_and_of_the_right_one_none(self, system):
        grid = system.input_grid
        landmarks_mm = torch.tensor([[[0.0, 0, 0], [2, 4, -2], [math.nan] * 3]])
        centres = grid.mm_to_ijk(torch.nan_to_num(landmarks_mm))
        right = gaussians(centres, torch.full((3,), 2.0), grid.size)
        right[:, 2] = 7  # whatever is said of a missing landmark
        volumes, generator = torch.zeros(1, *grid.size), torch.Generator()
        network = system.network
        try:
            system.network = Known(right)
            loss = system.training_loss(volumes, landmarks_mm, generator)["heatmap_loss"]
            assert loss == 0
            system.network = Known(0 * right)
            loss = system.training_loss(volumes, landmarks_mm, generator)["heatmap_loss"]
            expected = right[:, :2].square().sum() / (2 * math.pi**1.5 * 2.0**3)
            torch.testing.assert_close(loss, expected)
        finally:
            system.network = network

    def test_predictions_are_the_peaks_in_grid_mm(self, system):
        truth_mm = torch.tensor([[[0.0, 1.5, 2.2], [-6.3, 4, -3], [3, -2, 1]]])
        grid = system.input_grid
        heatmaps = gaussians(grid.mm_to_ijk(truth_mm), torch.full((3,), 1.0), grid.size)
        network = system.network
        try:
            system.network = Known(heatmaps)
            found = system(torch.zeros(2, *GRID.size))
        finally:
            system.network = network
        expected = truth_mm.expand(2, -1, -1)
        assert (found.prediction_mm - expected).norm(dim=-1).max() < 0.1 * grid.spacing_mm
        assert (found.spread_mm > 0).all()

    def test_learnt_widths_keep_the_mass_of_a_target(self):
        settings = {"widths": (4, 8), "context_width": 4, "context_kernel": 3}
        made = HeatmapRegression(Problem(GRID, 1), most_voxels=15000, sigma_penalty=0.1, **settings)
        made.log_sigma.data.fill_(math.log(1.5))
        volumes, generator = torch.zeros(1, *made.input_grid.size), torch.Generator()
        made.network = Known(torch.zeros(1, 1, *made.input_grid.size))
        losses = made.training_loss(volumes, torch.zeros(1, 1, 3), generator)
        # Of equal mass, the integral of the square falls with the cube of the SD.
        assert float(losses["heatmap_loss"]) == pytest.approx(1.5**-3, rel=0.02)
        assert float(losses["sigma_loss"]) == pytest.approx(0.1 * 1.5**2)

    def test_one_volume_is_learnt_to_less_than_a_voxel(self):
        grid, truth_mm = Grid((20, 16, 18), 1.5), torch.tensor([[[4.2, -3.1, 2.0], [-6, 5, -4.4]]])
        torch.manual_seed(0)
        size = {"widths": (8, 16, 16), "context_width": 8, "context_kernel": 3}
        made = HeatmapRegression(Problem(grid, 2), **size)
        blobs = gaussians(grid.mm_to_ijk(truth_mm), torch.tensor([2.0, 3.0]), grid.size)
        volume = 60 * torch.rand(grid.size, generator=torch.Generator().manual_seed(0))
        volume = (volume + 150 * blobs[0, 0]).clamp(0, 255)[None]
        optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
        for _ in range(120):
            loss = made.training_loss(volume, truth_mm, torch.Generator())["heatmap_loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        apart = (made.eval()(volume).prediction_mm - truth_mm).norm(dim=-1)
        assert apart.max() < grid.spacing_mm

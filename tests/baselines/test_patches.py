import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from pin_lightning.baselines.patches import (
    PatchCutter,
    positions_all_over_mm,
    positions_around_mm,
)
from pin_lightning.common.geometry import Grid

GRID = Grid((14, 12, 10), 2.0)


def test_a_patch_holds_the_three_planes_about_its_centre_as_scipy_interpolates():
    generator = torch.Generator().manual_seed(0)
    volumes = torch.randint(0, 256, (2, *GRID.size), generator=generator).float()
    cutter = PatchCutter(GRID, 5, [1])
    centres_mm = torch.tensor([[[1.3, -2.2, 0.4], [-4.1, 3.3, -1.7]]])
    found = cutter.network_input(cutter.pyramid(volumes), torch.tensor([1]), centres_mm)
    assert found.shape == (1, 2, cutter.channels, 5, 5)
    steps = np.arange(-2, 3)
    for which, centre in enumerate(GRID.mm_to_ijk(centres_mm[0].double().numpy())):
        for plane, axes in enumerate(((1, 2), (0, 2), (0, 1))):
            at = np.broadcast_to(centre[:, None, None], (3, 5, 5)).copy()
            at[axes[0]] += steps[:, None]
            at[axes[1]] += steps
            expected = map_coordinates(volumes[1].numpy(), at, order=1, cval=0.0) / 255
            np.testing.assert_allclose(found[0, which, plane], expected, atol=1e-4)


def test_each_spacing_has_channels_of_its_own():
    cutter = PatchCutter(GRID, 3, [1, 2])
    volumes = torch.full((1, *GRID.size), 255, dtype=torch.uint8)
    centres_mm = torch.zeros(4, 1, 3)
    found = cutter.network_input(cutter.pyramid(volumes), torch.zeros(4).long(), centres_mm)
    assert found.shape == (4, 1, 6, 3, 3)
    torch.testing.assert_close(found, torch.ones_like(found))


@pytest.mark.parametrize(
    ("side", "spacings", "line"),
    [
        (4, [1], r"system\.patch_side=4: give an odd number"),
        (0, [1], r"system\.patch_side=0: "),
        (5, [], r"system\.patch_spacings=\[\]: "),
        (5, [1, 1], r"system\.patch_spacings=\[1, 1\]: "),
        (5, [0, 1], r"system\.patch_spacings=\[0, 1\]: "),
    ],
)
def test_wrong_settings_are_named(side, spacings, line):
    with pytest.raises(ValueError, match=line):
        PatchCutter(GRID, side, spacings)


def test_positions_fill_the_volume_evenly():
    found = positions_all_over_mm((4000,), GRID, torch.Generator().manual_seed(0))
    extent = torch.tensor(GRID.extent_mm)
    assert (found.abs() <= extent / 2).all()
    torch.testing.assert_close(found.mean(0) / extent, torch.zeros(3), atol=0.02, rtol=0)
    torch.testing.assert_close(found.std(0) / extent, torch.full((3,), 12**-0.5), atol=0.01, rtol=0)


def test_positions_around_landmarks_lie_in_all_directions_at_the_distances_asked_for():
    landmarks_mm = torch.tensor([5.0, -3.0, 2.0]).expand(4000, 3).clone()
    landmarks_mm[0] = torch.nan
    found = positions_around_mm(landmarks_mm, (2.0, 6.0), torch.Generator().manual_seed(0))
    assert torch.isnan(found[0]).all()
    away = found[1:] - landmarks_mm[1:]
    distance = away.norm(dim=-1)
    assert 2.0 <= float(distance.min()) <= float(distance.max()) <= 6.001
    assert float(distance.mean()) == pytest.approx(4.0, abs=0.1)
    torch.testing.assert_close(away.mean(0), torch.zeros(3), atol=0.15, rtol=0)

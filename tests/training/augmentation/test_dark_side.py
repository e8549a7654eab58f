import math

import numpy as np
import pytest
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.training.augmentation.dark_side import DarkSide
from pin_lightning.training.augmentation.intensity import (
    Intensity,
    IntensitySettings,
    change_intensity,
)

GRID = Grid((61, 51, 41), 0.5)


def generator():
    return torch.Generator().manual_seed(0)


def changed(patches, dark, centres_mm, spacing_voxels=1.0):
    count = len(patches)
    same = Intensity(torch.ones(count), torch.zeros(count), dark=dark)
    return change_intensity(patches, centres_mm, same, GRID, generator(), spacing_voxels)


def test_beyond_a_plane_by_hand():
    """A plane at x = 1 mm, voxels of 0.5 mm, a patch at 0.5 mm: one voxel on is seen, two are not.

    The plane yz of the patch lies before it, xz and xy are cut across their rows.
    """
    dark = DarkSide(torch.tensor([[1.0, 0, 0]]), torch.tensor([1.0]))
    patches = torch.full((1, 3, 5, 5), 100, dtype=torch.uint8)
    found = changed(patches, dark, torch.tensor([[[0.5, 0, 0]]]))[0]
    assert (found[0] == 100).all()
    for plane in found[1:]:
        assert plane.any(dim=1).tolist() == [True, True, True, True, False]
        assert (plane == plane[:, :1]).all()


@pytest.mark.parametrize("spacing_voxels", [1, 3])
def test_a_voxel_is_seen_on_this_side_of_the_plane(spacing_voxels):
    dark = DarkSide.draw(20, 1.0, GRID, generator())
    centres_mm = 5 * torch.randn(20, 4, 3, generator=generator())
    patches = torch.full((20, 12, 7, 7), 50.0)
    found = changed(patches, dark, centres_mm, spacing_voxels).unflatten(1, (4, 3)) > 0
    steps = (np.arange(7) - 3) * 0.5 * spacing_voxels
    first, second = np.meshgrid(steps, steps, indexing="ij")
    none = np.zeros_like(first)
    planes = ((none, first, second), (first, none, second), (first, second, none))
    pattern = np.stack([np.stack(plane, -1) for plane in planes])
    positions = centres_mm[:, :, None, None, None].numpy() + pattern
    along = np.einsum("nlpabi,ni->nlpab", positions, dark.normal)
    clear = np.abs(along - dark.distance_mm.numpy()[:, None, None, None, None]) > 1e-4
    expected = along <= dark.distance_mm.numpy()[:, None, None, None, None]
    np.testing.assert_array_equal(found.numpy()[clear], expected[clear])
    assert 0.02 < 1 - expected.mean() < 0.5


def test_up_to_half_is_dark_in_the_asked_share_of_the_samples():
    drawn = DarkSide.draw(20000, 0.3, GRID, generator())
    cut = torch.isfinite(drawn.distance_mm)
    assert cut.float().mean().item() == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(drawn.normal.norm(dim=1), torch.ones(20000))
    assert drawn.normal.mean(dim=0).abs().max() < 0.02
    half_mm = torch.tensor(GRID.extent_mm) / 2
    depth = 1 - drawn.distance_mm[cut] / (drawn.normal[cut].abs() * half_mm).sum(1)
    assert 0 <= depth.min() < 0.01
    assert 0.99 < depth.max() <= 1
    assert depth.mean().item() == pytest.approx(0.5, abs=0.02)
    assert drawn[:5].distance_mm.equal(drawn.distance_mm[:5])


def test_nothing_is_drawn_unless_asked_for():
    """The other draws are those of a training that does not ask for it."""
    asked = IntensitySettings(gain_sd=0.1, dark_probability=0.5).draw(9, GRID, generator())
    plain = IntensitySettings(gain_sd=0.1).draw(9, GRID, generator())
    assert plain.dark is None
    assert plain.gain.equal(asked.gain)
    assert math.inf in asked.dark.distance_mm.tolist()


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r"augmentation.dark_probability=1.5: give a share"):
        IntensitySettings(dark_probability=1.5)

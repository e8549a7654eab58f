import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage

from pin_lightning.common.geometry import Grid
from pin_lightning.method import pyramid
from pin_lightning.method.patches import add_border, cut_patches
from pin_lightning.training.augmentation.warped_patches import cut_warped_patches
from pin_lightning.training.augmentation.warps import WarpSettings

GRID = Grid((27, 24, 21), 0.5)
INDEX = torch.tensor([1, 0])
CENTRES_MM = torch.tensor([[[0.0, 0.0, 0.0], [2.0, -1.0, 1.5]], [[-3.0, 2.0, 0.5], [9.0, 0, 0]]])


@pytest.fixture
def volumes():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, *GRID.size), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_level_is_scipys_gaussian_at_the_centres_of_its_voxels(volumes, factor):
    """Where these lie on centres of voxels, which is so for one parity of each side."""
    sides = [side - (side - 1) % factor for side in (27, 24, 21)]
    sides = [side if (math.ceil(side / factor) - 1) * factor == side - 1 else 21 for side in sides]
    volume = volumes[0, : sides[0], : sides[1], : sides[2]]
    sigma = math.sqrt((factor**2 - 1) / (8 * math.log(2)))
    smooth = ndimage.gaussian_filter(volume.double().numpy(), sigma, mode="constant", truncate=8)
    expected = smooth[::factor, ::factor, ::factor]
    level = pyramid.coarser(volume[None].float(), factor)[0]
    assert level.shape == expected.shape
    np.testing.assert_allclose(level, expected, atol=1e-3)
    alone = torch.cat([pyramid.coarser(one[None], factor) for one in volumes])
    assert torch.equal(pyramid.coarser(volumes, factor), alone)
    whole = pyramid.coarser(volume[None], factor)
    assert whole.dtype == torch.uint8
    assert (whole[0].float() - level).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("side", [24, 25, 26, 27])
def test_a_level_shows_anatomy_where_it_is(side):
    """The centre of gravity of a blob, in mm, is the same whatever the parity of the sides."""
    grid = Grid((side, side, side), 0.5)
    x = torch.arange(side, dtype=torch.float32)
    bell = torch.exp(-0.5 * ((x - 11.3) / 2).square())
    volume = bell[:, None, None] * bell[:, None] * bell
    for factor in (2, 3):
        level, coarse = pyramid.coarser(volume[None], factor)[0], pyramid.coarser_grid(grid, factor)
        weights = level.sum(dim=(1, 2)) / level.sum()
        centre = (weights * torch.arange(len(weights))).sum()
        found = coarse.ijk_to_mm(centre.expand(3))[0]
        assert found.item() == pytest.approx((11.3 - (side - 1) / 2) * 0.5, abs=2e-3)


def test_one_level_is_the_volume_itself(volumes):
    built = pyramid.build_pyramid(volumes, GRID, [1])
    assert torch.equal(built.levels[0].buffer, add_border(volumes).buffer)
    (cut,) = pyramid.cut_levels(built, INDEX, CENTRES_MM, 5, "nearest")
    expected = cut_patches(add_border(volumes), INDEX, GRID.mm_to_ijk(CENTRES_MM), 5)
    assert torch.equal(cut, expected)
    assert pyramid.merge_levels([cut]) is cut


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_channels_are_ordered_by_landmark_then_spacing_then_plane(volumes, interpolation):
    built = pyramid.build_pyramid(volumes, GRID, [1, 3])
    levels = pyramid.cut_levels(built, INDEX, CENTRES_MM, 5, interpolation)
    merged = pyramid.merge_levels(levels)
    assert merged.shape == (2, 12, 5, 5)
    for number, factor in enumerate((1, 3)):
        bordered = add_border(pyramid.coarser(volumes, factor))
        positions = pyramid.coarser_grid(GRID, factor).mm_to_ijk(CENTRES_MM)
        alone = cut_patches(bordered, INDEX, positions, 5, interpolation)
        for landmark in range(2):
            own = merged[:, 6 * landmark + 3 * number :][:, :3]
            assert torch.equal(own, alone[:, 3 * landmark : 3 * landmark + 3])


def test_warped_patches_are_cut_from_the_coarse_volume_on_its_grid(volumes):
    settings = WarpSettings(rotation_sd_degrees=10.0, shift_sd=0.05)
    warp = settings.draw(2, GRID, torch.Generator().manual_seed(0))
    built = pyramid.build_pyramid(volumes, GRID, [3])
    warped = partial(cut_warped_patches, warp=warp)
    (cut,) = pyramid.cut_levels(built, INDEX, CENTRES_MM, 5, "linear", warped)
    bordered = add_border(pyramid.coarser(volumes, 3))
    coarse = pyramid.coarser_grid(GRID, 3)
    expected = cut_warped_patches(bordered, INDEX, CENTRES_MM, warp, coarse, 5, "linear")
    assert torch.equal(cut, expected)


@pytest.mark.parametrize("spacings", [[], [0], [1, 1], [-3]])
def test_refuses_spacings(spacings):
    with pytest.raises(ValueError, match=r"model\.patch_spacings="):
        pyramid.check_spacings(spacings)

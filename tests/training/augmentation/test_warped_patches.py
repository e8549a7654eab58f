import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage
from training.augmentation.test_warps import KINDS

from pin_lightning.common.geometry import Grid
from pin_lightning.method.patches import add_border, cut_patches
from pin_lightning.training.augmentation import warped_patches
from pin_lightning.training.augmentation.warped_patches import cut_warped_patches
from pin_lightning.training.augmentation.warps import Warp, WarpSettings

GRID = Grid((61, 51, 41), 0.5)
ONE = torch.tensor([0])


def draw(count, seed=0, **settings):
    return WarpSettings(**settings).draw(count, GRID, torch.Generator().manual_seed(seed))


def affine(matrix):
    linear = torch.tensor(matrix, dtype=torch.float32)[None]
    return Warp(linear, torch.zeros(1, 3), torch.tensor([False]))


def noise(*size, dtype=torch.uint8):
    values = torch.randint(0, 256, size, generator=torch.Generator().manual_seed(0))
    return values.to(dtype)


def ball(centre_ijk, sd_voxels=1.2):
    """A Gaussian whose centre is known exactly."""
    axes = [torch.arange(float(side)) for side in GRID.size]
    voxels = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    distance = (voxels - centre_ijk).norm(dim=-1)
    return 250 * torch.exp(-0.5 * (distance / sd_voxels) ** 2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_a_landmark_is_in_the_middle_of_its_patches_to_a_twentieth_of_a_voxel(settings, dtype):
    """The centre of mass of a ball in the original volume, in all planes of eight warps."""
    landmark_ijk = torch.tensor([33.0, 21.0, 22.0])  # else the steps between voxels are lopsided
    volume = ball(landmark_ijk).round().to(dtype)
    warp = draw(8, **settings)
    centres_mm = warp.from_original(GRID.ijk_to_mm(landmark_ijk).expand(8, 1, 3))
    assert len(centres_mm.unique(dim=0)) == (2 if set(settings) == {"flip_probability"} else 8)
    index = torch.zeros(8, dtype=torch.long)
    patches = cut_warped_patches(
        add_border(volume[None]), index, centres_mm, warp, GRID, 65, "linear", spacing_voxels=0.1
    )
    for patch in patches.flatten(0, 1).numpy().astype(float):
        # Its bright middle: the curvature of an elastic map moves the centre of what is large.
        found = np.array(ndimage.center_of_mass(np.where(patch > 0.6 * patch.max(), patch, 0))) - 32
        assert np.abs(found * 0.1).max() < 0.05


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_against_scipy_at_every_voxel(settings, interpolation):
    """Every voxel of a patch is the original volume at `to_original` of that voxel's position."""
    volume, warp = noise(*GRID.size, dtype=torch.float32), draw(4, **settings)
    generator = torch.Generator().manual_seed(1)
    centres_mm = (torch.rand(4, 2, 3, generator=generator) - 0.5) * torch.tensor(GRID.extent_mm)
    index, side = torch.zeros(4, dtype=torch.long), 21
    patches = cut_warped_patches(
        add_border(volume[None]), index, centres_mm, warp, GRID, side, interpolation
    )
    rows, columns = np.meshgrid(*2 * [np.arange(side) - side // 2], indexing="ij")
    for landmark, (plane, axes) in itertools.product(range(2), enumerate([(1, 2), (0, 2), (0, 1)])):
        steps = np.zeros((side, side, 3))
        steps[..., axes[0]], steps[..., axes[1]] = rows, columns
        points = centres_mm[:, landmark].view(4, 1, 3) + torch.from_numpy(steps * 0.5).view(
            1, -1, 3
        )
        positions = GRID.mm_to_ijk(warp.to_original(points.float())).numpy().astype(float)
        for sample in range(4):
            if interpolation == "nearest":
                positions[sample] = np.floor(positions[sample] + 0.5)
            expected = ndimage.map_coordinates(
                volume.double().numpy(), positions[sample].T, order=1, mode="grid-constant"
            )
            found = patches[sample, 3 * landmark + plane].numpy().ravel()
            # A point halfway between two voxels may go to either.
            off = np.abs(found - expected) > 0.05
            assert off.mean() < (0.005 if interpolation == "nearest" else 1e-9)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_the_identity_is_cut_patches(turned, interpolation, dtype):
    """On whole voxels, inside, on the border and outside; of several volumes and landmarks."""
    bordered = add_border(noise(3, *GRID.size, dtype=dtype), turned)
    generator = torch.Generator().manual_seed(1)
    positions = torch.randint(-10, 70, (20, 3, 3), generator=generator).float()
    index = torch.randint(3, (20,), generator=generator)
    expected = cut_patches(bordered, index, positions, 15, interpolation)
    found = cut_warped_patches(
        bordered, index, GRID.ijk_to_mm(positions), draw(20), GRID, 15, interpolation
    )
    assert found.dtype == dtype
    assert torch.equal(found, expected)


def test_the_identity_rounds_centres_as_cut_patches_does():
    bordered = add_border(noise(1, *GRID.size))
    positions = 60 * torch.rand(50, 2, 3, generator=torch.Generator().manual_seed(1))
    index = torch.zeros(50, dtype=torch.long)
    found = cut_warped_patches(bordered, index, GRID.ijk_to_mm(positions), draw(50), GRID, 15)
    assert torch.equal(found, cut_patches(bordered, index, positions, 15))


def test_a_quarter_turn_by_hand():
    """About z, from y to x: what lay along x lies along y, in the other direction."""
    grid = Grid((21, 21, 21), 2.0)
    volume = noise(*grid.size)
    quarter = affine([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    centre = torch.zeros(1, 1, 3)
    patches = cut_warped_patches(add_border(volume[None]), ONE, centre, quarter, grid, 21)[0]
    # Augmented (x, y, z) is original (-y, x, z).
    assert torch.equal(patches[0], volume.flip(0)[:, 10])
    assert torch.equal(patches[1], volume[10])
    assert torch.equal(patches[2], volume.flip(0)[:, :, 10].T)


def test_twice_the_size_and_twice_the_distance_by_hand():
    volume = noise(*GRID.size)
    bordered, centre = add_border(volume[None]), torch.zeros(1, 1, 3)
    double = affine([[2, 0, 0], [0, 2, 0], [0, 0, 2]])
    patches = cut_warped_patches(bordered, ONE, centre, double, GRID, 19)[0]
    x, y, z = slice(12, 49, 2), slice(7, 44, 2), slice(2, 39, 2)
    expected = [volume[30, y, z], volume[x, 25, z], volume[x, y, 20]]
    assert all(torch.equal(patch, one) for patch, one in zip(patches, expected, strict=True))
    wide = cut_warped_patches(bordered, ONE, centre, draw(1), GRID, 19, spacing_voxels=2)[0]
    assert torch.equal(wide, patches)


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_samples_do_not_depend_on_what_they_are_cut_with(interpolation, monkeypatch):
    bordered, warp = add_border(noise(2, *GRID.size)), draw(4, **KINDS["all"])
    generator = torch.Generator().manual_seed(1)
    centres_mm = 20 * torch.rand(4, 3, 3, generator=generator) - 10
    index = torch.tensor([0, 1, 1, 0])
    settings = (warp, GRID, 15, interpolation)
    together = cut_warped_patches(bordered, index, centres_mm, *settings)
    monkeypatch.setattr(warped_patches, "BLOCK", 15 * 15 * 7)
    in_blocks = cut_warped_patches(bordered, index, centres_mm, *settings)
    # Rounding may differ, and with it the nearest of two voxels.
    assert (together == in_blocks).float().mean() > 0.999
    swapped = cut_warped_patches(bordered, index, centres_mm[:, [1, 0, 2]], *settings)
    assert (together[:, :3] == swapped[:, 3:6]).float().mean() > 0.999


def test_refuses_what_cut_patches_refuses():
    bordered, centre = add_border(noise(1, *GRID.size)), torch.zeros(1, 1, 3)
    with pytest.raises(ValueError, match="patch_side=4"):
        cut_warped_patches(bordered, ONE, centre, draw(1), GRID, 4)
    with pytest.raises(ValueError, match="cubic"):
        cut_warped_patches(bordered, ONE, centre, draw(1), GRID, 5, "cubic")

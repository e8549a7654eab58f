import math

import pytest
import torch
from scipy import ndimage

from pin_lightning.augmentation import AffineAugmentation, rotation_matrix, warp_volume
from pin_lightning.geometry import Grid

GRID = Grid((41, 37, 33), 0.5)
STRONG = AffineAugmentation(15.0, 0.1, 0.05)


def ball(centre_mm, radius_mm=1.6):
    """A soft ball, its centroid known exactly."""
    axes = [torch.arange(float(n)) for n in GRID.size]
    voxels = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    distance = (GRID.ijk_to_mm(voxels) - centre_mm).norm(dim=-1)
    return 200 * torch.sigmoid((radius_mm - distance) / 0.1)


def centroid_mm(volume):
    centre = ndimage.center_of_mass(volume.numpy())
    return GRID.ijk_to_mm(torch.tensor(centre))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_landmarks_stay_on_their_structure_to_a_twentieth_of_a_voxel(seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    position = torch.tensor([[2.0, -1.5, 1.0]])
    volume, moved = STRONG(ball(position[0]).to(dtype), position, GRID, generator)
    assert volume.dtype == dtype
    assert (moved - position).norm() > 0.1
    assert (centroid_mm(volume) - moved[0]).norm() < 0.05 * GRID.spacing_mm


def test_shift_by_hand():
    volume = torch.zeros(GRID.size)
    volume[10, 20, 15] = 100.0
    moved = warp_volume(volume, torch.eye(3), torch.tensor([1.0, -0.5, 0.0]), GRID)
    assert moved[12, 19, 15] == pytest.approx(100.0, abs=1e-2)
    assert moved.sum() == pytest.approx(100.0, abs=0.1)


def test_what_comes_from_outside_is_zero():
    moved = warp_volume(torch.full(GRID.size, 80.0), torch.eye(3), torch.tensor([5.0, 0, 0]), GRID)
    assert not moved[:9].any()
    torch.testing.assert_close(moved[11:], torch.full_like(moved[11:], 80.0))


def test_against_scipy():
    generator = torch.Generator().manual_seed(0)
    linear, shift = STRONG.draw(GRID, generator)
    volume = 200 * torch.rand(GRID.size, generator=generator)
    inverse = torch.linalg.inv(linear).double()
    centre = (torch.tensor(GRID.size).double() - 1) / 2
    offset = centre - inverse @ (centre + shift.double() / GRID.spacing_mm)
    expected = ndimage.affine_transform(
        volume.double().numpy(), inverse.numpy(), offset.numpy(), order=1, mode="grid-constant"
    )
    moved = warp_volume(volume, linear, shift, GRID)
    torch.testing.assert_close(moved.double(), torch.from_numpy(expected), atol=0.05, rtol=0)


def test_rotation_by_hand():
    quarter = rotation_matrix(torch.tensor([0.0, 0.0, math.pi / 2]))
    turned = quarter @ torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(turned, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_gain_scales_and_clips():
    volume = torch.tensor([10.0, 100.0, 200.0]).repeat(41 * 37 * 11).view(GRID.size)
    brighter = warp_volume(volume, torch.eye(3), torch.zeros(3), GRID, gain=1.5)
    torch.testing.assert_close(brighter, (1.5 * volume).clamp(max=255), atol=1e-2, rtol=0)


def test_draws_have_the_spread_asked_for():
    augmentation = AffineAugmentation(0.0, 0.1, 0.02)
    generator = torch.Generator().manual_seed(0)
    draws = [augmentation.draw(GRID, generator) for _ in range(500)]
    logs = torch.stack([linear.diagonal().log() for linear, _ in draws])
    shifts = torch.stack([shift for _, shift in draws]) / torch.tensor(GRID.extent_mm)
    assert logs.std().item() == pytest.approx(0.1, rel=0.1)
    assert shifts.std().item() == pytest.approx(0.02, rel=0.1)


def test_none_is_the_identity():
    volume, landmarks = torch.rand(GRID.size), torch.rand(4, 3)
    same, still = AffineAugmentation()(volume, landmarks, GRID, torch.Generator())
    assert same is volume
    assert still is landmarks

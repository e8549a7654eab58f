import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.method.pose.rigid import Poses
from pin_lightning.method.pose.scans import (
    Box,
    Scans,
    border_of,
    cut_levels_posed,
    cut_posed,
    planes,
)

SIDE = 7
BORDER = border_of(SIDE, 1.2)
GENERATOR = torch.Generator().manual_seed(0)
VOLUMES = [
    torch.randint(1, 255, size, generator=GENERATOR, dtype=torch.uint8)
    for size in ((20, 17, 23), (14, 30, 12))
]


def straight(number=1):
    return Poses(torch.eye(3).repeat(number, 1, 1), torch.zeros(number, 3))


def test_planes_by_hand():
    yz, xz, xy = planes(3)
    assert yz[0, 2].tolist() == [0, -1, 1]
    assert xz[0, 2].tolist() == [-1, 0, 1]
    assert xy[0, 2].tolist() == [-1, 1, 0]


def test_a_border_holds_a_patch_in_any_orientation():
    assert border_of(7, 1.2) >= 3 * math.sqrt(2) * 1.2 + 1


@pytest.mark.parametrize("which", [0, 1])
def test_patches_along_the_axes_are_slices(which):
    scans = Scans.of(VOLUMES, 2.0, BORDER)
    volume = VOLUMES[which]
    index, centre = torch.tensor([which]), torch.tensor([[[6, 8, 5]]])
    mm = 2.0 * (centre - (torch.tensor(volume.shape) - 1) / 2)
    voxels = scans.nearest(index, mm)
    torch.testing.assert_close(scans.voxel_mm(index, voxels), mm)
    (patch,) = cut_posed(scans, index, straight(), voxels, planes(SIDE))[0]
    around = [slice(at - 3, at + 4) for at in (6, 8, 5)]
    assert torch.equal(patch[0], volume[6, around[1], around[2]])
    assert torch.equal(patch[1], volume[around[0], 8, around[2]])
    assert torch.equal(patch[2], volume[around[0], around[1], 5])


def test_turned_patches_are_those_of_scipy():
    smooth = ndimage.gaussian_filter(VOLUMES[0].float().numpy(), 3).astype(np.uint8)
    scans = Scans.of([torch.from_numpy(smooth)], 1.0, BORDER)
    turn = Rotation.random(random_state=3).as_matrix()
    poses = Poses(torch.tensor(1.1 * turn)[None].float(), torch.zeros(1, 3))
    index, centre = torch.tensor([0]), torch.tensor([[[9, 8, 11]]])
    patch = cut_posed(scans, index, poses, centre + BORDER, planes(SIDE))[0, 0]
    at = np.array([9, 8, 11]) + planes(SIDE).numpy() @ (1.1 * turn).T
    expected = ndimage.map_coordinates(smooth, np.moveaxis(at, -1, 0), order=0, mode="constant")
    assert (patch.numpy() == expected).mean() > 0.97  # ties and the edge may round otherwise


def test_outside_a_scan_is_black_and_a_far_centre_stays_at_its_edge():
    scans = Scans.of(VOLUMES, 1.0, BORDER)
    for far in (-1e4, 1e4):
        index = torch.tensor([1])
        voxels = scans.nearest(index, torch.full((1, 2, 3), far))
        assert not cut_posed(scans, index, straight(), voxels, planes(SIDE))[0, 0, 0].any()


def test_several_levels_and_a_box():
    fine, coarse = (
        Scans.of(VOLUMES, 1.0, BORDER),
        Scans.of([one[::2, ::2, ::2] for one in VOLUMES], 2.0, BORDER),
    )
    index, points = torch.tensor([0, 1]), torch.zeros(2, 4, 3)
    patches, centres_mm = cut_levels_posed([fine, coarse], index, straight(2), points, planes(SIDE))
    assert patches.shape == (2, 4, 6, SIDE, SIDE)
    assert centres_mm.abs().max() <= 0.5
    low = torch.tensor([[-1e3, -1e3, 0.6], [-1e3] * 3])
    box = Box(low, torch.full((2, 3), 1e3))
    seen, _ = cut_levels_posed([fine, coarse], index, straight(2), points, planes(SIDE), box)
    assert torch.equal(seen[1], patches[1])
    assert not seen[0, :, 0, :, :3].any()  # plane yz, z below 0.6
    assert torch.equal(seen[0, :, 0, :, -2:], patches[0, :, 0, :, -2:])

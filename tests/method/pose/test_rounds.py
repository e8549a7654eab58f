import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pin_lightning.method.pose.rigid import Poses, unit
from pin_lightning.method.pose.rounds import turned_over

# A box of 2 x 10 x 6 mm about (7, 8, 9).
CORNERS = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 1])]) * torch.tensor([1.0, 5, 3])
SHAPE_MM = CORNERS + torch.tensor([7.0, 8, 9])


def poses_of(count):
    turns = Rotation.random(count, random_state=0).as_matrix()
    shifts = np.random.default_rng(0).normal(0, 20, (count, 3))
    scales = np.linspace(0.9, 1.1, count)[:, None, None]
    return Poses(*(torch.tensor(one).float() for one in (scales * turns, shifts)))


def test_a_symmetric_shape_takes_the_same_places_turned_over():
    poses = poses_of(3)
    found = turned_over(poses, SHAPE_MM, 2)
    assert len(found.linear) == 3 + 2 * 3
    torch.testing.assert_close(found.linear[:3], poses.linear)
    placed, turned = poses.place(SHAPE_MM), found.place(SHAPE_MM)[3:]
    for index, corners in enumerate(turned):
        before = placed[index // 3]
        apart = torch.cdist(corners, before)
        assert apart.amin(dim=1).max() < 1e-4  # every corner on one of before
        assert torch.diagonal(apart).min() > 1  # none where it was
        assert torch.det(unit(found.linear[3 + index])) == pytest.approx(1, abs=1e-5)


def test_fewer_poses_than_are_to_be_turned():
    assert len(turned_over(poses_of(2), SHAPE_MM, 4).linear) == 2 + 2 * 3

import numpy as np
import pytest
import torch

from pin_lightning.method.pose import samples
from pin_lightning.method.pose.rigid import Poses, angles, rotations_about, unit
from pin_lightning.method.pose.samples import PoseSampling, draw_box, noisy

COUNT = 4000
TRUE = Poses(torch.eye(3).repeat(COUNT, 1, 1), torch.zeros(COUNT, 3))


def drawn(rotations, axes=None):
    axes = torch.eye(3) if axes is None else axes
    turns = rotations_about(axes.T, torch.full((3,), 180.0))
    return PoseSampling(rotations, 60.0).draw(TRUE, turns, torch.Generator().manual_seed(0))


def turns(poses):
    # The stretch along the axes is small; what remains is close to a rotation.
    left, _, right = torch.linalg.svd(poses.linear)
    return torch.rad2deg(angles(left @ right, TRUE.linear))


@pytest.mark.parametrize(("rotations", "largest"), [("any", 180), ("upright", 45)])
def test_rotations_reach_as_far_as_asked(rotations, largest):
    degrees = turns(drawn(rotations))
    assert degrees.max() <= largest + 5
    assert degrees.max() > 0.9 * largest
    assert 0.25 < (degrees < 10).float().mean() < 0.6


def test_half_turns_are_about_the_axes_given():
    axes = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    axes = axes * torch.det(axes).sign()
    poses = drawn("any", axes)
    half = 2 * axes.T[:, :, None] * axes.T[:, None, :] - torch.eye(3)
    near = torch.stack([angles(unit(poses.linear), one.expand(COUNT, -1, -1)) for one in half])
    share = (torch.rad2deg(near.amin(0)) < samples.TURN_DEGREES + 6).float().mean()
    assert share == pytest.approx(samples.TURNED_SHARE, abs=0.08)


def test_shifts_and_sizes():
    poses = drawn("any")
    lengths = poses.shift_mm.norm(dim=1)
    assert 0 < lengths.min() < 0.5
    assert 10 < lengths.max() < 60
    assert torch.det(poses.linear).log().div(3).std() == pytest.approx(samples.SCALE_SD, abs=0.01)


def test_draws_follow_the_generator():
    np.testing.assert_array_equal(drawn("any").linear, drawn("any").linear)


def test_boxes_cut_some_sides():
    half = torch.full((COUNT, 3), 40.0)
    box = draw_box(half, torch.Generator().manual_seed(0))
    assert (box.low_mm > -40).float().mean() == pytest.approx(samples.CUT_SHARE, abs=0.02)
    assert (box.low_mm[box.low_mm > -40] <= -40 + 40 * samples.MOST_CUT).all()
    assert (box.high_mm > box.low_mm).all()
    assert torch.isinf(box.high_mm[box.high_mm > 40]).all()


def test_noise_is_that_of_all_processes_whoever_cuts():
    patches = torch.ones(4, 2, 6, 5, 5)
    whole = noisy(patches, 4, slice(0, 4), torch.Generator().manual_seed(0))
    second = noisy(patches[2:], 4, slice(2, 4), torch.Generator().manual_seed(0))
    torch.testing.assert_close(second, whole[2:])
    assert 0 < (whole - 1).std() < 0.5

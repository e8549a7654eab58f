import numpy as np
import pytest
import torch

from pin_lightning.method.pose.rigid import Poses
from pin_lightning.method.pose.scans import Scans
from pin_lightning.method.pose.starts import MOST_PLACES, distinct, start_poses, start_rotations


def scan(size, bright=None, spacing_mm=2.0):
    volume = torch.zeros(size, dtype=torch.uint8)
    volume[bright or (slice(None),) * 3] = 200
    return Scans.of([volume], spacing_mm, 4)


@pytest.mark.parametrize(
    ("kind", "number", "count"), [("any", 24, 24), ("any", 60, 60), ("upright", 24, 1)]
)
def test_rotations(kind, number, count):
    found = start_rotations(kind, number)
    assert len(found) == count
    np.testing.assert_allclose(torch.linalg.det(found), 1, atol=1e-6)
    assert any(torch.allclose(one, torch.eye(3), atol=1e-6) for one in found)


def test_a_scan_of_the_anatomy_alone_has_one_place():
    poses = start_poses(scan((14, 10, 10)), 40.0, 20.0, torch.eye(3)[None])
    assert len(torch.unique(poses.shift_mm, dim=0)) == 1
    torch.testing.assert_close(poses.shift_mm[0], torch.zeros(3), atol=1e-4, rtol=0)


def test_places_cover_what_is_not_background():
    bright = (slice(0, 30), slice(None), slice(None))  # the left half of 120 mm
    poses = start_poses(scan((60, 30, 30), bright), 40.0, 20.0, torch.eye(3)[None])
    x = poses.shift_mm[:, 0]
    assert x.min() < -35
    assert x.max() < 30
    assert poses.shift_mm[0, 0] == pytest.approx(-30, abs=1)  # centre of what is bright
    # Every place of the bright half has a start within reach.
    apart = torch.cdist(torch.tensor([[-40.0, -15, 10], [-15.0, 10, -15]]), poses.shift_mm)
    assert apart.amin(1).max() < 0.45 * 40


def test_a_huge_field_of_view_has_a_bounded_number_of_places():
    poses = start_poses(scan((150, 150, 150)), 20.0, 10.0, torch.eye(3)[None])
    assert 100 < len(poses.linear) <= MOST_PLACES + 1


def test_an_empty_scan_has_a_start():
    volume = torch.zeros(10, 10, 10, dtype=torch.uint8)
    poses = start_poses(Scans.of([volume], 2.0, 4), 40.0, 20.0, torch.eye(3)[None])
    assert torch.isfinite(poses.shift_mm).all()


def test_distinct_poses_by_angle_or_shift():
    linear = start_rotations("any")[:3].repeat_interleave(2, 0)
    shift = torch.tensor([[0.0, 0, 0], [1, 0, 0]]).repeat(3, 1)
    shift[5, 0] = 30
    order = torch.tensor([5, 3, 2, 0, 1, 4])
    found = distinct(Poses(linear, shift), order, 0.4, 10.0, 10)
    assert found.tolist() == [5, 3, 0, 4]
    assert distinct(Poses(linear, shift), order, 0.4, 10.0, 2).tolist() == [5, 3]

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pin_lightning.method.pose.rigid import (
    Poses,
    angles,
    fit_poses,
    half_turns,
    rotations,
    rotations_about,
    unit,
)

SHAPE = torch.tensor(np.random.default_rng(0).normal(0, 10, (7, 3))).float()


def placed(number=5, noise=0.0, scale=1.0):
    turns = Rotation.random(number, random_state=1).as_matrix()
    shift = np.random.default_rng(2).normal(0, 30, (number, 1, 3))
    points = scale * SHAPE.numpy() @ turns.transpose(0, 2, 1) + shift
    points += noise * np.random.default_rng(3).normal(size=points.shape)
    return torch.tensor(points).float(), turns, shift[:, 0]


def test_a_quarter_turn_by_hand():
    corner = torch.eye(3)
    turned = torch.tensor([[[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]]) + torch.tensor([5.0, 0, 0])
    found = fit_poses(corner, turned, torch.ones(1, 3))
    expected = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    torch.testing.assert_close(found.linear[0], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.shift_mm[0], torch.tensor([5.0, 0, 0]), atol=1e-5, rtol=0)


def test_poses_are_those_of_scipy_with_weights():
    points, _, _ = placed(noise=2.0)
    weights = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) + 0.1
    found = fit_poses(SHAPE, points, weights)
    for index in range(5):
        weight = weights[index].double().numpy()
        share = weight / weight.sum()
        source, target = SHAPE.double().numpy(), points[index].double().numpy()
        expected, _ = Rotation.align_vectors(
            target - share @ target, source - share @ source, weights=weight
        )
        np.testing.assert_allclose(found.linear[index], expected.as_matrix(), atol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.3])
def test_known_poses_are_recovered_with_their_size(scale):
    points, turns, shift = placed(scale=scale)
    found = fit_poses(SHAPE, points, torch.ones(5, 7), largest_scale=3.0)
    np.testing.assert_allclose(found.linear, scale * turns, atol=1e-5)
    np.testing.assert_allclose(found.shift_mm, shift, atol=1e-4)
    torch.testing.assert_close(found.place(SHAPE), points, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("scale", "expected"), [(0.01, 0.5), (5.0, 2.0)])
def test_a_shape_does_not_vanish(scale, expected):
    points, turns, _ = placed(scale=scale)
    found = fit_poses(SHAPE, points, torch.ones(5, 7), largest_scale=2.0)
    np.testing.assert_allclose(found.linear, expected * turns, atol=1e-4)
    centre = found.place(SHAPE).mean(dim=1)
    torch.testing.assert_close(centre, points.mean(dim=1), atol=1e-3, rtol=0)


def test_a_mirror_image_is_never_fitted_by_a_reflection():
    mirrored = SHAPE * torch.tensor([-1.0, 1, 1])
    found = fit_poses(SHAPE, mirrored[None], torch.ones(1, 7))
    assert torch.det(found.linear[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("degrees", [180, 179.999])
def test_half_turns(degrees):
    turn = Rotation.from_rotvec([0, math.radians(degrees), 0]).as_matrix()
    points = torch.tensor(SHAPE.numpy() @ turn.T)[None].float()
    found = fit_poses(SHAPE, points, torch.ones(1, 7))
    np.testing.assert_allclose(found.linear[0], turn, atol=1e-5)


def test_flat_shapes_have_one_pose():
    flat = SHAPE * torch.tensor([1.0, 1, 0])
    turn = Rotation.random(random_state=4).as_matrix()
    points = torch.tensor(flat.numpy() @ turn.T)[None].float()
    np.testing.assert_allclose(fit_poses(flat, points, torch.ones(1, 7)).linear[0], turn, atol=1e-5)


def test_a_landmark_of_hardly_any_weight_hardly_counts():
    points, turns, _ = placed(1)
    points[0, 3] += 50
    weights = torch.ones(1, 7)
    weights[0, 3] = 1e-6
    np.testing.assert_allclose(fit_poses(SHAPE, points, weights).linear, turns, atol=1e-4)


def test_quaternions_and_angles_are_those_of_scipy():
    turns = Rotation.random(6, random_state=5)
    quaternions = torch.tensor(turns.as_quat()[:, [3, 0, 1, 2]])
    matrices = rotations(quaternions)
    np.testing.assert_allclose(matrices, turns.as_matrix(), atol=1e-12)
    apart = (turns[:3].inv() * turns[3:]).magnitude()
    np.testing.assert_allclose(angles(matrices[:3], 1.2 * matrices[3:]), apart, atol=1e-7)
    np.testing.assert_allclose(unit(0.7 * matrices), matrices, atol=1e-12)


def test_some_of_the_poses():
    poses = Poses(torch.arange(27.0).view(3, 3, 3), torch.arange(9.0).view(3, 3))
    some = poses.take(torch.tensor([2, 0]))
    assert some.shift_mm.tolist() == [[6, 7, 8], [0, 1, 2]]


def test_rotations_about_directions_are_those_of_scipy():
    directions = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    degrees = torch.tensor([0.0, 5, 60, 120, 180, 300])
    unit_vectors = (directions / directions.norm(dim=1, keepdim=True)).numpy()
    expected = Rotation.from_rotvec(unit_vectors * degrees[:, None].numpy(), degrees=True)
    found = rotations_about(directions, degrees)
    np.testing.assert_allclose(found, expected.as_matrix(), atol=1e-6)


def test_half_turns_of_a_box_by_hand():
    """A box along the axes, anywhere: two of three signs change."""
    corners = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 1])]) * torch.tensor([1.0, 5, 3])
    found = half_turns(corners + torch.tensor([7.0, 8, 9]))
    expected = [torch.tensor(one) for one in ([-1.0, 1, -1], [-1, -1, 1.0], [1.0, -1, -1])]
    for turn, signs in zip(found, expected, strict=True):  # the longest axis first
        torch.testing.assert_close(turn, torch.diag(signs), atol=1e-6, rtol=0)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import (
    Pose,
    align_shapes,
    fit_pose,
    fit_pose_robustly,
    rotation_degrees,
)

QUARTER = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # about z
TRIPOD = np.array([[0, 0, 0], [4, 0, 0], [0, 2, 0], [0, 0, 1.0]])
MIRROR = np.diag([-1.0, 1.0, 1.0])


def random_pose(rng, scaled=True):
    scale = rng.uniform(0.5, 2) if scaled else 1.0
    return Pose(Rotation.random(rng=rng).as_matrix(), rng.normal(0, 50, 3), scale)


def assert_same(pose, expected, atol=1e-8):
    np.testing.assert_allclose(pose.matrix, expected.matrix, atol=atol)


def test_a_pose_turns_scales_and_shifts_by_hand():
    pose = Pose(QUARTER, np.array([10.0, 0, 0]), 2.0)
    np.testing.assert_allclose(
        pose.place(np.array([[1.0, 0, 0], [0, 3, 1]])), [[10, 2, 0], [4, 0, 2]]
    )
    np.testing.assert_allclose(pose.matrix @ [0, 3, 1, 1], [4, 0, 2, 1])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_inverse_and_sequence_are_those_of_the_matrices(seed):
    rng = np.random.default_rng(seed)
    first, then = random_pose(rng), random_pose(rng)
    np.testing.assert_allclose(then.after(first).matrix, then.matrix @ first.matrix, atol=1e-9)
    np.testing.assert_allclose(first.inverse().matrix, np.linalg.inv(first.matrix), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_the_angle_between_rotations_is_scipys(seed):
    one, other = Rotation.random(2, rng=np.random.default_rng(seed))
    expected = np.degrees((one * other.inv()).magnitude())
    assert rotation_degrees(one.as_matrix(), other.as_matrix()) == pytest.approx(expected, abs=1e-5)
    assert rotation_degrees(QUARTER, np.eye(3)) == pytest.approx(90)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999))
def test_a_weighted_rotation_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    shape, weights = rng.normal(0, 20, (9, 3)), rng.uniform(0, 3, 9)
    placed = random_pose(rng, scaled=False).place(shape) + rng.normal(0, 5, (9, 3))
    pose = fit_pose(shape, placed, weights)
    centred, centred_placed = (
        one - np.average(one, axis=0, weights=weights) for one in (shape, placed)
    )
    expected = Rotation.align_vectors(centred_placed, centred, weights=weights)[0].as_matrix()
    np.testing.assert_allclose(pose.rotation, expected, atol=1e-7)
    middle = np.average(shape, axis=0, weights=weights)
    np.testing.assert_allclose(pose.place(middle), np.average(placed, axis=0, weights=weights))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_a_scaled_fit_leaves_what_scipys_procrustes_leaves(seed):
    rng = np.random.default_rng(seed)
    shape = rng.normal(0, 20, (9, 3))
    placed = random_pose(rng).place(shape) + rng.normal(0, 5, (9, 3))
    placed_fit = fit_pose(shape, placed, with_scale=True).place(shape)
    mirrored_fit = fit_pose(shape, placed, with_scale=True, mirrored=True).place(shape)
    size = ((placed - placed.mean(axis=0)) ** 2).sum()
    left = [((one - placed) ** 2).sum() / size for one in (placed_fit, mirrored_fit)]
    assert min(left) == pytest.approx(procrustes(placed, shape)[2])  # it may mirror


def test_weights_of_zero_leave_landmarks_out_and_large_ones_win():
    expected = Pose(QUARTER, np.array([1.0, 2, 3]))
    placed = expected.place(TRIPOD)
    placed[3] += 100
    assert_same(fit_pose(TRIPOD, placed, np.array([1, 1, 1, 0])), expected)
    assert_same(fit_pose(TRIPOD, placed, np.array([1, 1, 1, 1e-12])), expected, atol=1e-6)
    two = np.array([[0.0, 0, 0], [8, 0, 0]])  # by hand: the shift that 3 of 4 parts ask for
    moved = two + np.array([[1.0, 0, 0], [-1, 0, 0]])
    np.testing.assert_allclose(
        fit_pose(two, moved, np.array([3, 1])).shift_mm, [0.5, 0, 0], atol=1e-9
    )


def test_missing_landmarks_count_for_nothing():
    expected = Pose(QUARTER, np.array([1.0, 2, 3]), 1.5)
    shape = np.concatenate([TRIPOD, [[np.nan] * 3, [5.0, 5, 5]]])
    placed = np.concatenate([expected.place(TRIPOD), [[7.0, 7, 7], [np.nan] * 3]])
    assert_same(fit_pose(shape, placed, with_scale=True), expected)
    assert_same(fit_pose_robustly(shape, placed, with_scale=True), expected)
    with pytest.raises(ValueError, match="no landmark in common"):
        fit_pose(shape[4:], placed[4:])
    with pytest.raises(ValueError, match="no landmark in common"):
        fit_pose_robustly(shape[4:], placed[4:])


def test_a_mirror_image_is_only_fitted_where_asked_for():
    mirrored = TRIPOD @ MIRROR
    as_it_is = fit_pose(TRIPOD, mirrored)
    assert np.linalg.det(as_it_is.rotation) == pytest.approx(1)
    assert np.linalg.norm(as_it_is.place(TRIPOD) - mirrored, axis=1).max() > 0.3
    in_mirror = fit_pose(TRIPOD, mirrored, mirrored=True)
    assert np.linalg.det(in_mirror.rotation) == pytest.approx(-1)
    np.testing.assert_allclose(in_mirror.place(TRIPOD), mirrored, atol=1e-9)
    flat = TRIPOD[:3]  # a planar shape is its own mirror image
    assert_same(fit_pose(flat, flat), Pose(np.eye(3), np.zeros(3)))
    np.testing.assert_allclose(fit_pose(flat, flat, mirrored=True).place(flat), flat, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_undetermined_rotation_is_the_smallest(count):
    line = np.arange(count)[:, None] * np.array([[3.0, 0, 0]])
    assert_same(fit_pose(line, line + 5), Pose(np.eye(3), np.full(3, 5.0)), atol=1e-5)
    turned = QUARTER if count > 1 else np.eye(3)
    np.testing.assert_allclose(fit_pose(line, line @ QUARTER.T).rotation, turned, atol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_landmarks_out_of_place_do_not_skew_a_robust_fit(mirrored, seed):
    rng = np.random.default_rng(seed)
    shape, expected = rng.normal(0, 20, (15, 3)), random_pose(rng)
    if mirrored:
        expected = Pose(expected.rotation @ MIRROR, expected.shift_mm, expected.scale)
    placed = expected.place(shape)
    placed[:3] = placed[[1, 2, 0]]
    placed[3] += 300
    pose = fit_pose_robustly(shape, placed, with_scale=True, mirrored=mirrored)
    np.testing.assert_allclose(pose.place(shape), expected.place(shape), atol=1.0)
    plain = fit_pose(shape, placed, with_scale=True, mirrored=mirrored)
    assert np.abs(plain.place(shape) - expected.place(shape)).max() > 10


def test_a_robust_fit_of_near_landmarks_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    shape, expected = rng.normal(0, 20, (9, 3)), random_pose(rng)
    placed = expected.place(shape) + rng.normal(0, 1, (9, 3))
    robust = fit_pose_robustly(shape, placed, near_mm=1e4)
    assert_same(robust, fit_pose(shape, placed), atol=1e-4)


@pytest.mark.parametrize("with_scale", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_known_poses_are_recovered(with_scale, missing):
    rng = np.random.default_rng(1)
    shape = rng.normal(0, 20, (12, 3))
    poses = [random_pose(rng, with_scale) for _ in range(8)]
    shapes = np.stack([pose.place(shape) for pose in poses])
    shapes[1:][rng.random((7, 12)) < missing] = np.nan
    mean, found = align_shapes(shapes, with_scale)
    for pose, expected, placed in zip(found, poses, shapes, strict=True):
        np.testing.assert_allclose(pose.place(mean), expected.place(shape), atol=1e-5)
        assert np.nanmax(np.abs(pose.place(mean) - placed)) < 1e-5
    if not with_scale:
        assert {pose.scale for pose in found} == {1.0}
    turn = found[0].rotation @ found[1].rotation.T
    np.testing.assert_allclose(turn, poses[0].rotation @ poses[1].rotation.T, atol=1e-6)


def test_the_mean_is_centred_in_the_orientation_of_the_fullest_shape_and_of_mean_size():
    full = TRIPOD + 7
    grown = Pose(QUARTER, np.zeros(3), 4.0).place(TRIPOD)
    grown[3] = np.nan
    mean, poses = align_shapes(np.stack([grown, full]), with_scale=True)
    np.testing.assert_allclose(np.nanmean(mean, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(poses[1].rotation, np.eye(3), atol=1e-6)
    assert [pose.scale for pose in poses] == pytest.approx([2.0, 0.5])  # geometric mean 1


def test_a_landmark_that_no_shape_has_stays_missing():
    shapes = np.stack([TRIPOD, TRIPOD + 3])
    shapes[:, 2] = np.nan
    mean, _ = align_shapes(shapes)
    assert np.isnan(mean[2]).all()
    assert np.isfinite(mean[[0, 1, 3]]).all()

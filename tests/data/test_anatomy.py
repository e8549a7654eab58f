import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import Pose, rotation_degrees
from pin_lightning.common.geometry import Grid
from pin_lightning.data.anatomy import (
    JITTER_DEGREES,
    anatomy_grid,
    anatomy_of,
    posed_affine,
)

NAMES = tuple("abcdefgh")
LONG = np.random.default_rng(0).normal(0, [4.0, 12.0, 2.0], (8, 3))


def shapes(degrees, number=10, sizes=(1.0, 1.0), noise=0.2, base=LONG):
    random = np.random.default_rng(1)
    turns = Rotation.from_rotvec(np.radians(degrees) * random.normal(size=(number, 3)))
    scale = np.linspace(*sizes, number)
    made = [
        s * turn.apply(base + noise * random.normal(size=base.shape))
        for s, turn in zip(scale, turns, strict=True)
    ]
    return np.stack(made) + random.normal(0, 20, (number, 1, 3))


def test_scans_that_lie_alike_keep_their_orientation():
    anatomy, spread = anatomy_of(shapes(6), NAMES)
    pose = Pose(np.eye(3), np.zeros(3))
    fitted = anatomy.pose_of(LONG)
    assert rotation_degrees(fitted.rotation, pose.rotation) < 6
    assert 5 < spread.largest_degrees < 30
    assert not anatomy.with_scale


def test_scans_in_any_orientation_stand_along_the_principal_axes():
    anatomy, spread = anatomy_of(shapes(120), NAMES)
    covariance = np.cov(anatomy.reference_mm.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-6)
    assert spread.largest_degrees > 45


def test_the_origin_is_the_middle_of_the_anatomy():
    reference = anatomy_of(shapes(30), NAMES)[0].reference_mm
    np.testing.assert_allclose(reference.max(axis=0), -reference.min(axis=0))


@pytest.mark.parametrize(
    ("sizes", "asked", "found"),
    [((0.97, 1.03), None, False), ((0.9, 1.05), None, True), ((0.9, 1.05), False, False)],
)
def test_sizes_are_found_where_they_differ_by_a_tenth(sizes, asked, found):
    anatomy, spread = anatomy_of(shapes(30, sizes=sizes), NAMES, asked)
    assert anatomy.with_scale is found
    assert spread.size_ratio == pytest.approx(sizes[1] / sizes[0], rel=0.03)


@pytest.mark.parametrize(
    ("sizes", "largest"), [((0.9, 1.1), 1.35), ((0.5, 2.0), 2.4), ((0.1, 10.0), 4.0)]
)
def test_sizes_are_looked_for_a_fifth_beyond_those_of_training(sizes, largest):
    pair = np.stack([size * LONG for size in sizes])
    assert anatomy_of(pair, NAMES)[0].largest_scale == pytest.approx(largest, rel=0.01)


def test_a_case_is_posed_where_it_lies():
    placed = shapes(90, sizes=(0.8, 1.2), noise=0.0)
    anatomy, _ = anatomy_of(placed, NAMES)
    for one in placed:
        np.testing.assert_allclose(anatomy.pose_of(one).place(anatomy.reference_mm), one, atol=1e-6)


def test_missing_landmarks_do_not_move_the_others():
    placed = shapes(90, noise=0.0)
    placed[3, 2] = placed[5, 0] = np.nan
    anatomy, _ = anatomy_of(placed, NAMES)
    np.testing.assert_allclose(
        anatomy.pose_of(placed[3]).place(anatomy.reference_mm)[3:], placed[3, 3:], atol=1e-6
    )


def test_the_error_of_a_pose_follows_from_the_name_alone():
    anatomy, _ = anatomy_of(shapes(30), NAMES)
    pose = anatomy.pose_of(LONG)
    once, again = (anatomy.jittered(pose, "case1") for _ in range(2))
    np.testing.assert_array_equal(once.matrix, again.matrix)
    off = [
        rotation_degrees(anatomy.jittered(pose, f"{i}").rotation, pose.rotation) for i in range(200)
    ]
    assert np.sqrt(np.mean(np.square(off)) / 3) == pytest.approx(JITTER_DEGREES, rel=0.2)


def test_the_grid_holds_the_anatomy_and_a_margin():
    placed = shapes(60)
    anatomy, _ = anatomy_of(placed, NAMES)
    aligned = np.stack([anatomy.pose_of(one).inverse().place(one) for one in placed])
    grid = anatomy_grid(anatomy, placed, 0.1, 160)
    assert grid.spacing_mm == pytest.approx(2 * np.abs(aligned).max() / 160, rel=0.06)
    margin = (np.array(grid.extent_mm) - 2 * np.abs(aligned).max(axis=(0, 1))) / 2
    assert (margin >= 0.15 * anatomy.extent_mm - 1e-6).all()
    assert anatomy_grid(anatomy, placed, 1.0, 160).spacing_mm == 1.0
    assert anatomy_grid(anatomy, placed, 1.0, 160, 0.5, [9, 8, 7]) == Grid((9, 8, 7), 0.5)


def test_the_working_volume_lies_along_the_pose():
    turn = Rotation.random(random_state=2).as_matrix()
    pose, grid = Pose(turn, np.array([3.0, 4.0, 5.0]), 1.1), Grid((5, 7, 9), 0.5)
    to_world = np.eye(4)
    to_world[:3, 3] = [100, 0, 0]
    affine = posed_affine(pose, to_world, grid)
    np.testing.assert_allclose(affine @ [2, 3, 4, 1], [103, 4, 5, 1])  # the middle
    np.testing.assert_allclose(
        (affine @ [3, 3, 4, 1] - affine @ [2, 3, 4, 1])[:3], 0.55 * turn[:, 0]
    )

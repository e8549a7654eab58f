import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sklearn.decomposition import PCA

from pin_lightning.evaluation.planes.axes import LineFit, MeanToMean
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.evaluation.planes.plane import angle_degrees, fit_plane, offset_mm

NAMES = ("a", "b", "c", "d")
SQUARE = np.array([[0.0, 0, 5], [4, 0, 5], [4, 2, 5], [0, 2, 5]])  # counter-clockwise from above
GROUP = PlaneGroup("P", NAMES, MeanToMean(("a",), ("b",)))


def moved(points, seed):
    """Points after a random rigid motion, and its rotation."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed)
    return rotation.apply(points) + 50 * rng.normal(size=3), rotation


def test_a_plane_by_hand_seen_from_the_side_that_the_order_of_the_landmarks_says():
    plane = fit_plane(GROUP, NAMES, SQUARE)
    np.testing.assert_allclose(plane.centre_world, [2, 1, 5])
    np.testing.assert_allclose(plane.directions, np.eye(3), atol=1e-12)
    point = np.array([3.0, 3.0, 4.0])
    np.testing.assert_allclose(plane.from_world(point), [1, 2, -1])
    np.testing.assert_allclose(plane.to_world(plane.from_world(point)), point)
    backwards = fit_plane(PlaneGroup("P", NAMES[::-1], GROUP.x_axis), NAMES, SQUARE)
    np.testing.assert_allclose(backwards.directions, np.diag([1, -1, -1]), atol=1e-12)


def test_an_axis_out_of_the_plane_is_laid_into_it():
    group = PlaneGroup("P", NAMES, MeanToMean(("a",), ("e",)))
    points = np.vstack([SQUARE, [0.0, 3.0, 9.0]])
    plane = fit_plane(group, (*NAMES, "e"), points)
    np.testing.assert_allclose(plane.x_axis, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(plane.y_axis, [-1, 0, 0], atol=1e-12)
    above = np.vstack([SQUARE, [0.0, 0.0, 9.0]])
    assert fit_plane(group, (*NAMES, "e"), above) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_normal_is_the_last_principal_axis(seed):
    rng = np.random.default_rng(seed)
    points = moved(rng.normal(size=(8, 3)) * [30, 20, 3], seed)[0]
    names = tuple("abcdefgh")
    plane = fit_plane(PlaneGroup("P", names, LineFit(names)), names, points)
    reference = PCA(3).fit(points)
    assert abs(plane.normal @ reference.components_[2]) == pytest.approx(1)
    assert abs(plane.x_axis @ reference.components_[0]) == pytest.approx(1)
    np.testing.assert_allclose(plane.centre_world, reference.mean_)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_axes_are_orthonormal_right_handed_and_move_with_the_anatomy(seed):
    points = SQUARE * 10 + np.random.default_rng(seed).normal(size=SQUARE.shape)
    plane = fit_plane(GROUP, NAMES, points)
    np.testing.assert_allclose(plane.directions.T @ plane.directions, np.eye(3), atol=1e-12)
    assert np.linalg.det(plane.directions) == pytest.approx(1)
    elsewhere, rotation = moved(points, seed)
    other = fit_plane(GROUP, NAMES, elsewhere)
    np.testing.assert_allclose(other.directions, rotation.as_matrix() @ plane.directions, atol=1e-9)
    np.testing.assert_allclose(other.from_world(elsewhere), plane.from_world(points), atol=1e-9)


def test_missing_landmarks_are_left_out():
    points = SQUARE.copy()
    points[3] = np.nan
    plane = fit_plane(GROUP, NAMES, points)
    np.testing.assert_allclose(plane.centre_world, SQUARE[:3].mean(axis=0))
    np.testing.assert_allclose(plane.normal, [0, 0, 1], atol=1e-12)
    for missing in ([2, 3], [0], [0, 1, 2, 3]):
        points = SQUARE.copy()
        points[missing] = np.nan
        assert fit_plane(GROUP, NAMES, points) is None


def test_landmarks_on_a_line_or_in_a_point_give_no_plane():
    line = np.outer(np.arange(4.0), [1, 2, 3])
    assert fit_plane(GROUP, NAMES, line) is None
    assert fit_plane(GROUP, NAMES, line + 1e-6 * SQUARE) is None
    assert fit_plane(GROUP, NAMES, np.ones((4, 3))) is None


def tilted(degrees, shift=0.0):
    """The square's plane after a turn about its x axis through the centre, and a shift along z."""
    centre = SQUARE.mean(axis=0)
    turned = Rotation.from_euler("x", degrees, degrees=True).apply(SQUARE - centre)
    return fit_plane(GROUP, NAMES, turned + centre + [0, 0, shift])


@pytest.mark.parametrize(("turn", "angle"), [(0, 0), (1e-6, 1e-6), (30, 30), (90, 90), (150, 30)])
def test_angles_by_hand(turn, angle):
    assert angle_degrees(tilted(turn), tilted(0)) == pytest.approx(angle, abs=1e-9)
    assert angle_degrees(tilted(0), tilted(turn)) == pytest.approx(angle, abs=1e-9)


def test_offsets_by_hand():
    assert offset_mm(tilted(0, 3.0), tilted(0)) == pytest.approx(3)
    assert offset_mm(tilted(0, -3.0), tilted(20)) == pytest.approx(3)
    assert offset_mm(tilted(60, 3.0), tilted(0)) == pytest.approx(1.5)

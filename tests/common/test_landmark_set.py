import numpy as np
import pytest

from pin_lightning.common.landmark_set import LandmarkSet

POSITIONS = np.array([[1.0, 2, 3], [4, np.nan, 6], [7, 8, 9]])


def test_defined_means_that_all_three_coordinates_are_finite():
    landmarks = LandmarkSet.of(["a", "b", "c"], POSITIONS)
    assert landmarks.names == ("a", "b", "c")
    assert landmarks.defined.tolist() == [True, False, True]
    assert landmarks.defined_names == ["a", "c"]
    assert np.isnan(landmarks.positions_world[1]).all()
    assert len(landmarks) == 3


def test_positions_are_a_copy_in_float64():
    given = np.array([[1, 2, 3]], dtype=np.float32)
    landmarks = LandmarkSet.of(["a"], given)
    given[0, 0] = 99
    assert landmarks.positions_world.dtype == np.float64
    assert landmarks.positions_world.tolist() == [[1, 2, 3]]


def test_select_reorders_and_leaves_absent_names_undefined():
    chosen = LandmarkSet.of(["a", "b", "c"], POSITIONS).select(["c", "x", "a", "b"])
    assert chosen.names == ("c", "x", "a", "b")
    assert chosen.defined.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(chosen.positions_world[[0, 2]], POSITIONS[[2, 0]])
    assert chosen.select([]).positions_world.shape == (0, 3)


def test_duplicate_names_are_refused():
    with pytest.raises(ValueError, match="occur twice: a;"):
        LandmarkSet.of(["a", "b", "a"], POSITIONS)
    with pytest.raises(ValueError, match="occur twice: a;"):
        LandmarkSet.of(["a"], POSITIONS[:1]).select(["a", "a"])


@pytest.mark.parametrize("positions", [POSITIONS[:2], POSITIONS[:, :2], POSITIONS.ravel()])
def test_wrong_shapes_are_refused(positions):
    with pytest.raises(ValueError, match=r"give \(3, 3\)"):
        LandmarkSet.of(["a", "b", "c"], positions)

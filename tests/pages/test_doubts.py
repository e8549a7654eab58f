import numpy as np
import pytest

from pin_lightning.conformal import Calibration, ConformalSettings
from pin_lightning.error_bars import ErrorBars
from pin_lightning.pages.doubts import doubts_of

SPREAD = np.array([[1.0, 2.0], [1.0, 9.0], [2.0, 2.0]])


def error_bars(above_mm=None):
    arrays = (np.ones(2), np.ones(2), np.array([1.0, 4.0]))
    return ErrorBars(Calibration(ConformalSettings(), ("a", "b"), 9, *arrays), above_mm)


def test_without_error_bars_volumes_are_compared_with_one_another():
    doubts = doubts_of(SPREAD, None)
    np.testing.assert_allclose(doubts.ratio, [[1, 1], [1, 4.5], [2, 1]])
    np.testing.assert_array_equal(doubts.flagged, [[0, 0], [0, 1], [0, 0]])
    assert doubts.order == [1, 2, 0]


def test_with_error_bars_what_is_usual_comes_from_them():
    doubts = doubts_of(SPREAD, error_bars())
    np.testing.assert_allclose(doubts.ratio, SPREAD / [1, 4])
    np.testing.assert_array_equal(doubts.flagged, [[0, 0], [0, 1], [0, 0]])


def test_a_limit_of_ones_own_flags():
    doubts = doubts_of(SPREAD, error_bars(above_mm=1.5))
    np.testing.assert_array_equal(doubts.flagged, [[0, 1], [0, 1], [1, 1]])


@pytest.mark.parametrize("spread", [np.zeros((1, 2)), np.ones((1, 2))])
def test_one_volume_is_like_itself(spread):
    doubts = doubts_of(spread, None)
    assert not doubts.flagged.any()
    assert doubts.order == [0]

from dataclasses import replace

import numpy as np
import pytest

from pin_lightning.evaluation.conformal import Calibration, ConformalSettings
from pin_lightning.runs.doubts import Reviewed, ReviewedPose, doubts_of, usual_of
from pin_lightning.runs.error_bars import ErrorBars

SPREAD = np.array([[1.0, 2.0], [1.0, 9.0], [2.0, 2.0]])


class Compared:
    """Doubts about several volumes, of which each row has the spreads, and their order."""

    def __init__(self, spreads, bars, marked=None):
        marks = [None] * len(spreads) if marked is None else marked
        usual, each = usual_of(spreads), []
        for spread, mark in zip(spreads, marks, strict=True):
            arrays = (np.zeros((len(spread), 3)), spread, None, np.zeros(len(spread), dtype=bool))
            one = Reviewed("a", "a.nii", *arrays, near_border=mark)
            each.append(doubts_of(one, usual, bars))
        self.ratio = np.stack([one.ratio for one in each])
        self.flagged = np.stack([one.flagged for one in each])
        self.order = sorted(range(len(each)), key=lambda index: each[index].rank, reverse=True)


def error_bars(above_mm=None):
    arrays = (np.ones(2), np.ones(2), np.array([1.0, 4.0]))
    return ErrorBars(Calibration(ConformalSettings(), ("a", "b"), 9, *arrays), above_mm)


def test_without_error_bars_volumes_are_compared_with_one_another():
    doubts = Compared(SPREAD, None)
    np.testing.assert_allclose(doubts.ratio, [[1, 1], [1, 4.5], [2, 1]])
    np.testing.assert_array_equal(doubts.flagged, [[0, 0], [0, 1], [0, 0]])
    assert doubts.order == [1, 2, 0]


def test_with_error_bars_what_is_usual_comes_from_them():
    doubts = Compared(SPREAD, error_bars())
    np.testing.assert_allclose(doubts.ratio, SPREAD / [1, 4])
    np.testing.assert_array_equal(doubts.flagged, [[0, 0], [0, 1], [0, 0]])
    limited = Compared(SPREAD, error_bars(above_mm=1.5))
    np.testing.assert_array_equal(limited.flagged, [[0, 1], [0, 1], [1, 1]])


@pytest.mark.parametrize("spread", [np.zeros((1, 2)), np.ones((1, 2))])
def test_one_volume_is_like_itself(spread):
    doubts = Compared(spread, None)
    assert not doubts.flagged.any()
    assert doubts.order == [0]


def test_what_is_not_finite_is_the_most_doubtful_and_spoils_no_other():
    spread = np.array([[1.0, 2.0], [np.nan, 2.0], [1.0, np.inf], [1.0, 2.0]])
    doubts = Compared(spread, None)
    np.testing.assert_array_equal(doubts.flagged, [[0, 0], [1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(doubts.ratio[0], [1, 1])
    assert doubts.order[:2] == [1, 2]
    assert Compared(np.full((2, 1), np.nan), None).flagged.all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bars", [None, error_bars()])
def test_volumes_that_are_all_far_off_are_flagged_without_a_warning(bars):
    """Outside its volume in most, a landmark has no usual spread that is finite."""
    astray = np.array([[np.inf, 1.0], [np.inf, np.nan], [3.0, np.inf]])
    assert Compared(astray, bars).order == [1, 0, 2]  # nothing is known of the second
    assert Compared(np.full((2, 2), np.inf), bars).flagged.all()


def test_a_landmark_outside_its_volume_is_the_most_doubtful():
    arrays = (np.zeros((2, 3)), np.array([1.0, 2.0]), None)
    one = Reviewed("a", "a.nii", *arrays, np.array([False, True]))
    np.testing.assert_array_equal(one.doubt_mm, [1, np.inf])


def test_where_the_pose_is_uncertain_no_spread_counts():
    arrays = (np.zeros((2, 3)), np.array([1.0, 2.0]), None)
    one = Reviewed("a", "a.nii", *arrays, np.array([False, False]))
    sure = replace(one, pose=ReviewedPose(0.1, 1.0, False), near_border=np.array([False, True]))
    lost = replace(one, pose=ReviewedPose(3.0, 0.1, True))
    np.testing.assert_array_equal(sure.doubt_mm, [1, 2])
    np.testing.assert_array_equal(lost.doubt_mm, [np.inf, np.inf])
    assert sure.reasons == [[], ["near the border of the scan"]]
    assert lost.reasons == [["pose uncertain"], ["pose uncertain"]]
    assert not one.uncertain
    assert one.reasons == [[], []]
    volumes = [one, sure, lost, replace(one, outside=np.array([True, False])), lost]
    usual = usual_of(np.stack([each.doubt_mm for each in volumes]))
    doubts = [doubts_of(each, usual, None) for each in volumes]
    order = sorted(range(5), key=lambda index: doubts[index].rank, reverse=True)
    assert order == [2, 4, 3, 0, 1]
    for each in doubts[:2]:
        np.testing.assert_allclose(each.ratio, 1)  # of what is known, not of what is not


@pytest.mark.parametrize("bars", [None, error_bars()])
def test_what_is_marked_is_flagged_whatever_its_radius(bars):
    marked = np.array([[1, 0], [0, 0], [0, 0]], dtype=bool)
    np.testing.assert_array_equal(
        Compared(SPREAD, bars, marked).flagged, Compared(SPREAD, bars).flagged | marked
    )


def test_of_uncertain_poses_the_worst_comes_first():
    arrays = (np.zeros((1, 3)), np.ones(1), None, np.array([False]))
    one = Reviewed("a", "a.nii", *arrays)
    scores = (-13.8, 21.0, 3.0)
    lost = [replace(one, pose=ReviewedPose(score, 0.1, True)) for score in scores]
    ranks = [doubts_of(each, np.ones(1), None).rank for each in (*lost, one)]
    assert sorted(range(4), key=lambda index: ranks[index], reverse=True) == [1, 2, 0, 3]

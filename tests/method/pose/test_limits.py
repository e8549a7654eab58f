import math

import numpy as np
import pytest

from pin_lightning.common.alignment import Pose
from pin_lightning.method.pose.finder import FoundPose
from pin_lightning.method.pose.limits import Judged, PoseLimits, calibrate

HERE = Pose(np.eye(3), np.zeros(3))


def right(score, lead=1.0):
    return Judged(score, lead, 2.0, 0.01)


def wrong(score, lead=0.1):
    return Judged(score, lead, 170.0, 0.5)


@pytest.mark.parametrize(
    ("score", "second", "uncertain"),
    [
        (-3.0, -1.0, False),
        (-1.0, 0.5, True),
        (-3.0, -2.9, True),
        (math.nan, 0, True),
        (-3.0, math.inf, False),
    ],
)
def test_a_pose_is_uncertain_by_its_score_or_its_lead(score, second, uncertain):
    assert PoseLimits(-2.0, 0.5).is_uncertain(FoundPose(HERE, score, second)) is uncertain


def test_a_found_pose_beside_the_true_one():
    shape = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]])
    turned = Pose(np.diag([-1.0, -1.0, 1.0]), np.array([1.0, 0, 0]))
    judged = Judged.of(FoundPose(turned, -2.0, -1.5), HERE, shape, 10.0)
    assert judged.degrees == pytest.approx(180)
    assert judged.share == pytest.approx((1 + 19 + math.hypot(1, 20)) / 3 / 10)
    assert judged.lead == pytest.approx(0.5)
    assert not judged.is_right
    assert Judged.of(FoundPose(HERE, -2.0, -1.5), HERE, shape, 10.0).is_right


def test_new_scans_may_score_worse_by_the_gap_that_was_measured():
    trained = [right(-3.0)] * 10
    held_out = [(right(-1.9), -2.5)] * 10  # by networks trained without them: a gap of 0.6
    limits = calibrate(trained, held_out)
    assert -2.4 < limits.score < -2.0
    assert 0.2 < limits.lead < 0.5


def test_wrong_poses_lie_beyond_the_limits():
    held_out = [(right(-2.5), -2.5)] * 9 + [(wrong(-2.5, 0.6), -2.5)]
    limits = calibrate([right(-2.5)] * 10, held_out)
    assert limits.is_uncertain(FoundPose(HERE, -2.5, -1.9))


def test_a_wrong_pose_with_a_bad_score_does_not_raise_the_limit_of_leads():
    held_out = [(right(-2.5), -2.5)] * 9
    without = calibrate([right(-2.5)] * 10, held_out)
    assert calibrate([right(-2.5)] * 10, [*held_out, (wrong(3.0, 0.9), -2.5)]) == without


def test_where_many_are_wrong_no_pose_with_such_a_lead_is_sure():
    held_out = [(right(-2.5), -2.5)] * 8 + [(wrong(3.0, 0.9), -2.5), (wrong(3.0, 0.5), -2.5)]
    limits = calibrate([right(-2.5)] * 10, held_out)
    assert limits.lead == pytest.approx(1.05 * 0.9)
    assert limits.score == calibrate([right(-2.5)] * 10, held_out[:8]).score


def test_a_stricter_limit_of_scores_is_taken_where_it_leaves_more_right_poses_sure():
    """By hand: usual scores -8; one wrong pose at -4, with a large lead."""
    held_out = [(right(score, 2.0), -8.0) for score in (-8.0, -7.0, -6.0, -5.0, -3.0)] * 4
    held_out += [(right(-8.0, 9.0), -8.0), (wrong(-4.0, 8.0), -8.0)]
    limits = calibrate([right(-8.0, 2.0)] * 10, held_out)
    assert limits.score == pytest.approx(-4.0 - 0.025 * 8)  # all but the -3 stay sure
    assert limits.lead == pytest.approx(0.35 * 2)
    # Where most right poses have a larger lead, the limit of leads costs less.
    large = [(Judged(one.score, 9.0, one.degrees, one.share), usual) for one, usual in held_out]
    large[-1] = (wrong(-4.0, 8.0), -8.0)
    limits = calibrate([right(-8.0, 9.0)] * 10, large)
    assert limits.score > -3
    assert limits.lead == pytest.approx(1.05 * 8)


def test_a_wrong_pose_without_a_second_lies_beyond_the_limit_of_scores():
    held_out = [(right(-2.5), -2.5)] * 9 + [(wrong(-2.4, math.inf), -2.5)]
    limits = calibrate([right(-2.5)] * 10, held_out)
    assert limits.is_uncertain(FoundPose(HERE, -2.4, math.inf))
    assert not limits.is_uncertain(FoundPose(HERE, -2.5, 0.0))


def test_without_held_out_scans_a_usual_gap_is_taken():
    limits = calibrate([right(-3.0)])
    assert -2.1 < limits.score < -1.5


def test_a_stage_that_finds_nothing_is_never_sure():
    limits = calibrate([wrong(-3.0)] * 5)
    assert limits.is_uncertain(FoundPose(HERE, -5.0, math.inf))

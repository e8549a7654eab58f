import math

import numpy as np
import pytest

from pin_lightning.evaluation import conformal
from pin_lightning.evaluation.conformal import ConformalSettings, calibrate, conformal_quantile


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


def names(count):
    return tuple(f"mark {index}" for index in range(count))


@pytest.mark.parametrize("count", [1, 4, 9, 19, 20, 37])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_quantile_of_single_scores_is_the_finite_sample_one(count, coverage):
    scores = np.random.default_rng(count).permutation(count) + 1.0
    rank = math.ceil(round((count + 1) * coverage, 9))
    expected = rank if rank <= count else math.inf
    assert conformal_quantile(scores[:, None], coverage) == expected


def test_quantile_by_hand_when_cases_have_several_scores():
    # Weights 1/2 / 2 for the first case and 1/2 for the second: 1/4, 3/4, 1 are reached. Each time
    # one of the three is missed or none: of the first case the half of it, or the other case.
    scores = np.array([[1.0, 3.0], [2.0, np.nan], [np.nan, np.nan]])
    # Above 2 only the 3: means 1/2 and 0, between (2/36 + 1/9) / 1 = 1/6, within 1/2; not alike.
    # Three landmarks count as three cases: 3/4 of what is reached.
    assert conformal.effective_cases(np.array([[0.0, 1.0], [0.0, np.nan], [np.nan, np.nan]])) == 3
    assert conformal_quantile(scores, 0.5) == 2.0
    assert conformal_quantile(scores, 0.5625) == 2.0
    assert conformal_quantile(scores, 0.57) == 3.0
    # Above 3 none: they cannot be told apart, and two cases count as two.
    assert conformal_quantile(scores, 0.76) == math.inf


def test_effective_cases_by_hand():
    # Both landmarks of a case go together: as many as there are cases.
    missed = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert conformal.effective_cases(missed) == 4
    # Means 1/2, 0, 1/2, 0 about 1/4: between 2 * 4/16 / 3 = 1/6, within 1 / 4; less alike than by
    # chance, so that all eight count.
    missed = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert conformal.effective_cases(missed) == 8
    # Means 1, 0, 1/2, 0 about 3/8: between 2 * 0.6875 / 3 = 0.4583, within 0.5 / 4 = 0.125, alike
    # (0.4583 - 0.125) / (0.4583 + 0.125) = 4/7, and 8 / (1 + 4/7) = 56 / 11.
    missed = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert conformal.effective_cases(missed) == pytest.approx(56 / 11)
    # One landmark: cases are cases.
    assert conformal.effective_cases(column(1.0, 0.0, 0.0)) == 3


def test_radius_by_hand():
    # Square roots 1 and 2 average to 1.5 and so does what is shared: a usual error of 2.25.
    settings = ConformalSettings(0.5, 2.0)
    fitted = calibrate(column(1.0, 4.0), column(0.0, 0.0), names(1), settings)
    np.testing.assert_allclose(fitted.usual_error_mm, [2.25])
    assert fitted.num_cases == 2
    # Without itself the usual error is 4 and 1: scores 1/4 and 4; coverage 0.5 of 2 is the 2nd.
    np.testing.assert_allclose(fitted.factor, [4.0])
    np.testing.assert_allclose(fitted.radius_mm(np.array([3.0])), [4.0 * max(2.25, 2 * 3.0)])


def draw(rng, cases, landmarks, tail):
    """Errors that share how hard a case is, with a spread that says something about them."""
    kinds = np.exp(rng.normal(0, 0.5, landmarks)) * np.exp(rng.normal(0, 0.4, (cases, 1)))
    normal = rng.normal(size=(cases, landmarks, 3))
    if tail:
        normal /= np.sqrt(rng.chisquare(tail, (cases, landmarks, 1)) / tail)
    errors = kinds * np.linalg.norm(normal, axis=-1)
    return errors, 0.3 * errors * np.exp(rng.normal(0, 1, errors.shape))


def simulated_coverage(settings, tail, missing=0.0, sets=250, cases=19, landmarks=8):
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(sets):
        errors, spread = draw(rng, cases + 1, landmarks, tail)
        known = np.where(rng.random(errors.shape) < missing, np.nan, errors)
        fitted = calibrate(known[:-1], spread[:-1], names(landmarks), settings)
        hits.append(np.mean(errors[-1] <= fitted.radius_mm(spread[-1])))
    return np.mean(hits)


@pytest.mark.slow
@pytest.mark.parametrize("tail", [None, 2, 1], ids=["normal", "heavy", "Cauchy"])
def test_radii_cover_as_often_as_they_say(tail):
    # One landmark each time: exact up to the noise of the draws.
    one = ConformalSettings(0.9, 1.0, pooled=False)
    assert 0.885 <= simulated_coverage(one, tail) <= 0.935
    # Together: how much landmarks of a case depend on one another is estimated.
    assert 0.885 <= simulated_coverage(ConformalSettings(0.9), tail) <= 0.935
    assert 0.78 <= simulated_coverage(ConformalSettings(0.8), tail) <= 0.84


def test_radii_cover_when_landmarks_are_missing():
    assert 0.885 <= simulated_coverage(ConformalSettings(0.9), None, missing=0.3) <= 0.935


def test_left_out_cases_are_covered_as_new_ones_are():
    rng = np.random.default_rng(3)
    errors, spread = draw(rng, 120, 8, 2)
    errors[rng.random(errors.shape) < 0.1] = np.nan
    within, radii = conformal.leave_one_case_out(errors, spread, ConformalSettings(0.9))
    assert np.array_equal(np.isnan(within), np.isnan(errors))
    assert 0.87 <= np.nanmean(within) <= 0.94
    fitted = calibrate(errors[1:], spread[1:], names(8), ConformalSettings(0.9))
    np.testing.assert_allclose(radii[0], fitted.radius_mm(spread[0]))


@pytest.mark.parametrize(("coverage", "fewest"), [(0.9, 9), (0.95, 19), (0.5, 1), (0.8, 4)])
def test_too_few_cases_are_refused(coverage, fewest):
    settings = ConformalSettings(coverage)
    assert settings.fewest_cases == fewest
    errors = np.ones((fewest, 2))
    calibrate(errors, errors, names(2), settings)
    errors[0] = np.nan
    with pytest.raises(ValueError, match=f"coverage={coverage}: needs at least {fewest} cases, "):
        calibrate(errors, errors, names(2), settings)
    if coverage == 0.9:  # the remedy for eight cases
        with pytest.raises(ValueError, match=r"give at most 0\.88,"):
            calibrate(errors, errors, names(2), settings)
        calibrate(errors, errors, names(2), ConformalSettings(0.88))


def test_a_landmark_that_few_cases_have_needs_pooling():
    errors = np.ones((12, 2))
    errors[3:, 1] = np.nan
    calibrate(errors, np.zeros((12, 2)), names(2), ConformalSettings(0.9))
    with pytest.raises(ValueError, match=r"with mark 1 \(calibration\.pooled=false\), there are 3"):
        calibrate(errors, errors, names(2), ConformalSettings(0.9, pooled=False))


BAD = {"coverage": (1.5, 1.0, 0.0), "spread_weight": (-1.0, math.inf)}


@pytest.mark.parametrize(("name", "value"), [(name, one) for name in BAD for one in BAD[name]])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"calibration.{name}={value}: give a "):
        ConformalSettings(**{name: value})


def test_review_marks_what_is_unusually_wide():
    errors = np.full((9, 2), 1.0) * [1.0, 4.0]
    fitted = calibrate(errors, 0 * errors, names(2), ConformalSettings())
    usual = fitted.median_radius_mm
    assert fitted.for_review(2.1 * usual * [1, 0.9]).tolist() == [True, False]
    assert fitted.for_review(np.array([1.0, 3.0]), 2.0).tolist() == [False, True]
    with pytest.raises(ValueError, match="review_above_mm=0: give a positive number"):
        fitted.for_review(usual, 0)

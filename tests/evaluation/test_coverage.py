import numpy as np

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.conformal import ConformalSettings, leave_one_case_out
from pin_lightning.evaluation.coverage import coverage_curve

BOOTSTRAP = BootstrapSettings(resamples=200)


def errors_of(num_cases, num_landmarks=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 1.0, (num_cases, num_landmarks)), np.zeros((num_cases, num_landmarks))


def test_levels_that_need_more_cases_are_left_out():
    curve = coverage_curve(*errors_of(6, num_landmarks=1), ConformalSettings(0.62), BOOTSTRAP)
    levels = [0.5, 0.55, 0.6, 0.62, 0.65, 0.7, 0.75, 0.8]  # 0.8 needs 4 other cases, 0.85 needs 6
    assert [one.asked for one in curve] == levels


def test_each_level_is_that_of_leaving_one_case_out():
    errors, spread = errors_of(20)
    errors[3, 1] = np.nan
    for one in coverage_curve(errors, spread, ConformalSettings(), BOOTSTRAP):
        within, radii = leave_one_case_out(errors, spread, ConformalSettings(one.asked))
        assert one.observed == np.nanmean(within)
        assert one.median_radius_mm == np.median(radii)
        assert one.interval[0] <= one.observed <= one.interval[1]

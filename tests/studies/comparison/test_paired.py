from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy import stats

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.studies.comparison.paired import compare, sign_flip_p_value

SETTINGS = BootstrapSettings(resamples=500)


def two_runs(seed, cases=15, landmarks=4, gain=0.5):
    """Errors of two runs that share what makes a case hard; in both, the same are unknown."""
    rng = np.random.default_rng(seed)
    a = rng.exponential(1, (cases, 1)) + rng.exponential(1, (cases, landmarks)) + gain
    b = a - gain + rng.normal(0, 0.2, a.shape)
    unknown = rng.random(a.shape) < 0.15
    a[unknown] = b[unknown] = np.nan
    return a, b


def named(count):
    return [f"mark {index}" for index in range(count)]


def test_two_runs_by_hand():
    a = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan], [4.0, 6.0, np.nan]])
    b = np.array([[1.0, 1.0, np.nan], [4.0, np.nan, np.nan], [2.0, 2.0, np.nan]])
    found = compare(a, b, ["tip", "base", "of no case"], [2.0], SETTINGS)
    numbers = {key: (one.a, one.b, one.difference) for key, one in found.numbers.items()}
    assert numbers == {
        "mean": pytest.approx((3.2, 2.0, -1.2)),
        "median": (3.0, 2.0, -1.0),
        "p95": pytest.approx((5.6, 3.6, -2.0)),
        "within_2_mm": pytest.approx((0.4, 0.8, 0.4)),
    }
    landmarks = [(name, one.n, one.a, one.b) for name, one in found.landmarks.items()]
    tip = ("tip", 3, pytest.approx(8 / 3), pytest.approx(7 / 3))
    assert landmarks == [("base", 2, 4.0, 1.5), tip]  # the larger difference comes first
    assert (found.num_cases, found.better_share) == (3, pytest.approx(2 / 3))
    # Of the cases' differences 0.5, -1 and 3, 6 of 8 signs make a sum as far from 0 as theirs.
    assert found.p_value == pytest.approx(6 / 8)
    assert not found.told_apart


@pytest.mark.parametrize(
    ("key", "statistic"),
    [("mean", np.mean), ("median", np.median), ("p95", partial(np.quantile, q=0.95))],
)
def test_differences_have_scipys_paired_interval(key, statistic):
    a, b = two_runs(1, cases=21, landmarks=1)
    known = np.isfinite(a)
    settings = {"method": "BCa", "n_resamples": 500, "random_state": np.random.default_rng(0)}

    def difference(a, b, axis):
        return statistic(b, axis=axis) - statistic(a, axis=axis)

    theirs = stats.bootstrap((a[known], b[known]), difference, paired=True, **settings)
    found = compare(a, b, named(1), [1.0], SETTINGS).numbers[key]
    np.testing.assert_allclose(found.interval, theirs.confidence_interval, rtol=1e-6)
    assert found.difference == pytest.approx(statistic(b[known]) - statistic(a[known]))


def test_landmarks_of_a_case_are_drawn_together():
    once = two_runs(2, landmarks=1)
    many = compare(*(np.repeat(errors, 30, axis=1) for errors in once), named(30), [1.0], SETTINGS)
    alone = compare(*once, named(1), [1.0], SETTINGS)
    for key, one in alone.numbers.items():
        if key != "p95":  # of more values, a quantile lies elsewhere
            np.testing.assert_allclose(many.numbers[key].interval, one.interval, atol=1e-9)
    assert many.p_value == alone.p_value


def test_simultaneous_intervals_are_those_of_scipys_paired_t_test():
    a, b = two_runs(3)
    found = compare(a, b, named(4), [1.0], SETTINGS)
    for index, name in enumerate(named(4)):
        known = np.isfinite(a[:, index])
        test = stats.ttest_rel(b[known, index], a[known, index])
        ends = test.confidence_interval(1 - 0.05 / 4)
        np.testing.assert_allclose(found.landmarks[name].simultaneous, [ends.low, ends.high])
        assert found.landmarks[name].told_apart == (test.pvalue < 0.05 / 4)


def test_the_same_run_twice_differs_in_nothing():
    a, _ = two_runs(7)
    found = compare(a, a, named(4), [1.0], SETTINGS)
    assert found.numbers["mean"].interval == [0.0, 0.0]
    assert (found.better_share, found.p_value) == (0.5, 1.0)
    assert not found.told_apart
    assert not any(one.told_apart for one in found.landmarks.values())


def test_sign_flips_are_all_those_there_are():
    difference = np.random.default_rng(8).normal(0.3, 1, 9)
    flipped = [abs(np.dot(signs, difference)) for signs in product([-1, 1], repeat=9)]
    expected = np.mean(np.array(flipped) >= abs(difference.sum()) - 1e-12)
    assert sign_flip_p_value(difference, seed=0) == pytest.approx(expected)
    # Many cases: drawn, near Student's test, and the same for a seed.
    many = np.random.default_rng(9).normal(0.3, 1, 40)
    drawn = sign_flip_p_value(many, seed=0)
    assert drawn == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.02)
    assert drawn == sign_flip_p_value(many, seed=0)


def test_errors_of_other_landmarks_are_refused():
    with pytest.raises(ValueError, match="the same landmarks"):
        compare(np.array([[1.0]]), np.array([[np.nan]]), named(1), [1.0], SETTINGS)

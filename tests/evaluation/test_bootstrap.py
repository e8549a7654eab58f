import numpy as np
import pytest
from scipy import stats

from pin_lightning.evaluation.bootstrap import BootstrapSettings, cluster_interval


def skewed(seed, cases=20, landmarks=4):
    rng = np.random.default_rng(seed)
    return rng.exponential(1, (cases, 1)) + 0.3 * rng.exponential(1, (cases, landmarks))


def interval(values, statistic=np.mean, seed=0, **settings):
    return cluster_interval(values, statistic, np.random.default_rng(seed), **settings)


@pytest.mark.parametrize(
    ("statistic", "level", "landmarks"),
    [(np.mean, 0.95, 4), (np.mean, 0.8, 4), (np.median, 0.95, 1)],
)
def test_means_of_whole_cases_and_a_median_have_scipys_interval(statistic, level, landmarks):
    values = skewed(1, 21, landmarks)
    settings = {"method": "BCa", "n_resamples": 2000, "random_state": np.random.default_rng(0)}
    # Every case has as many landmarks, so the mean of all is the mean of the cases' means.
    by_case = (values.mean(axis=1),)
    theirs = stats.bootstrap(by_case, statistic, confidence_level=level, **settings)
    ours = interval(values, statistic, level=level, resamples=2000)
    np.testing.assert_allclose(ours, theirs.confidence_interval, rtol=1e-9)


def test_cases_count_by_the_values_they_have():
    values = np.array([[1.0, np.nan], [4.0, 4.0], [np.nan, np.nan]])
    seen = []
    interval(values, lambda some: seen.append(tuple(some)) or float(some.mean()), resamples=100)
    # One estimate, the draws of two cases, and each case left out; the empty case is never drawn.
    assert set(seen) == {(1, 4, 4), (1, 1), (4, 4, 1), (4, 4, 4, 4), (1,), (4, 4)}


def test_the_short_way_to_means_changes_nothing():
    values = skewed(6)
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    slow = interval(values, lambda known: float(np.mean(known)))
    np.testing.assert_allclose(interval(values), slow, rtol=1e-12)


def test_what_never_varies_is_its_own_interval_and_one_case_has_none():
    assert interval(np.full((5, 2), 3.0)) == (3.0, 3.0)
    assert np.isnan(interval(np.array([[1.0, 2.0], [np.nan, np.nan]]))).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"level": 95.0}, "bootstrap.level=95.0"), ({"resamples": 10}, "bootstrap.resamples=10")],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        BootstrapSettings(**settings)


def test_draws_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch):
    values = skewed(7)
    at_once = interval(values, np.median)
    monkeypatch.setattr("pin_lightning.evaluation.bootstrap.MOST_DRAWN", 30)  # one draw of 20 cases
    assert interval(values, np.median) == at_once


def test_of_many_cases_several_are_left_out_at_a_time(monkeypatch):
    values = skewed(8, cases=300)
    one_by_one = interval(values)
    monkeypatch.setattr("pin_lightning.evaluation.bootstrap.MOST_LEFT_OUT", 50)
    width = one_by_one[1] - one_by_one[0]
    np.testing.assert_allclose(interval(values), one_by_one, atol=0.05 * width)
    assert interval(values) != one_by_one

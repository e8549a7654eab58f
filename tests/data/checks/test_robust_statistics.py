import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pin_lightning.data.checks.robust_statistics import median_known, others_median, rms, usual


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(0, 999))
def test_the_median_of_the_others_is_numpys(count, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 5, (count, 4, 3)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    expected = np.full_like(values, np.nan)
    for index in np.ndindex(values.shape):
        others = np.delete(values[(slice(None), *index[1:])], index[0])
        if np.isfinite(others).any():
            expected[index] = np.nanmedian(others)
    np.testing.assert_array_equal(others_median(values), expected)


def test_the_median_without_missing_values_is_numpys():
    values = np.random.default_rng(0).normal(size=(7, 5, 3))
    values[2:4, 1] = np.nan
    np.testing.assert_array_equal(median_known(values), np.nanmedian(values, axis=0))
    values[:, 4] = np.nan
    assert np.isnan(median_known(values)[4]).all()


def test_the_root_mean_square_counts_what_is_known():
    """By hand: distances 5 and 1 give the root of 13."""
    offsets = np.array([[[3, 4, 0], [0, 0, 1], [np.nan] * 3], [[np.nan] * 3] * 3])
    assert rms(offsets)[0] == pytest.approx(np.sqrt(13))
    assert np.isnan(rms(offsets)[1])


def test_nothing_known_has_no_limit():
    assert usual(np.array([np.nan])) == (np.inf, np.inf)

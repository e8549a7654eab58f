import inspect

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import accuracy_score

from pin_lightning.evaluation import metrics

# Two cases, three landmarks; nobody annotated the last.
ERRORS = np.array([[1.0, 2.0, np.nan], [4.0, np.nan, np.nan]])


def random_batch(seed, batch, landmarks=4):
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.randn(batch, landmarks, 3, generator=generator) * 10
    truth = torch.randn(batch, landmarks, 3, generator=generator) * 10
    defined = torch.rand(batch, landmarks, generator=generator) < 0.7
    return predicted, torch.where(defined[..., None], truth, torch.nan), defined


def test_radial_errors_of_numpy_and_torch_agree_with_linalg_norm():
    predicted, truth, defined = random_batch(0, batch=5)
    by_torch = metrics.radial_errors(predicted, truth, defined)
    by_numpy = metrics.radial_errors(predicted.numpy(), truth.numpy(), defined.numpy())
    expected = np.linalg.norm(predicted.numpy() - truth.numpy(), axis=-1)
    np.testing.assert_allclose(by_numpy, expected, rtol=1e-6)
    np.testing.assert_allclose(by_torch.numpy(), expected, rtol=1e-6)
    assert by_numpy.dtype == np.float32
    assert by_torch.dtype == torch.float32


def test_radial_errors_do_not_broadcast():
    unchecked = inspect.unwrap(metrics.radial_errors)  # without checks of the annotations
    with pytest.raises(ValueError, match=r"truth \(3, 3\)"):
        unchecked(np.zeros((3, 3, 3)), np.zeros((3, 3)), np.ones((3, 3), dtype=bool))


def test_an_infinite_or_absent_prediction_is_infinitely_far_off():
    predicted = np.array([[np.nan, 0.0, 0.0], [np.inf, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    errors = metrics.radial_errors(predicted, np.zeros((3, 3)), np.array([True, True, False]))
    np.testing.assert_array_equal(errors, [np.inf, np.inf, np.nan])


@pytest.mark.parametrize(("per", "axis"), [("all", None), ("landmark", 0), ("case", 1)])
def test_numbers_agree_with_numpy_scipy_and_sklearn(per, axis):
    errors = np.random.default_rng(0).exponential(2, (30, 7))
    errors[np.random.default_rng(1).random(errors.shape) < 0.2] = np.nan
    np.testing.assert_allclose(metrics.mean_error(errors, per), np.nanmean(errors, axis))
    spread = stats.tstd(errors, axis=axis, nan_policy="omit")
    np.testing.assert_allclose(metrics.error_sd(errors, per), spread)
    for share in (0, 0.5, 0.95, 1):
        expected = np.nanquantile(errors, share, axis)
        np.testing.assert_allclose(metrics.error_quantile(errors, share, per), expected)
    groups = {"all": [errors.ravel()], "landmark": errors.T, "case": errors}[per]
    known = [group[np.isfinite(group)] for group in groups]
    accuracy = [accuracy_score(np.ones(len(one)), one <= 1.5) for one in known]
    np.testing.assert_allclose(np.atleast_1d(metrics.success_rate(errors, 1.5, per)), accuracy)


def test_what_diverged_counts_in_every_number():
    errors = np.array([[1.0, 2.0, np.inf, np.nan]])
    assert metrics.mean_error(errors) == np.inf
    assert metrics.success_rate(errors, 2.0) == 2 / 3
    found = [float(metrics.error_quantile(errors, share)) for share in (0, 0.5, 0.75, 1)]
    assert found == [1.0, 2.0, np.inf, np.inf]


def test_single_precision_errors_are_summed_in_double():
    errors = np.full((100_001, 1), 0.1, dtype=np.float32)
    assert float(metrics.mean_error(errors)) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_the_border_is_a_success_and_the_undefined_is_nothing():
    found = metrics.within(ERRORS, 2.0)
    np.testing.assert_array_equal(found, [[1, 1, np.nan], [0, np.nan, np.nan]])
    rates = [float(metrics.success_rate(ERRORS, radius)) for radius in (0, 1, 2, 3.9, 10)]
    assert rates == [0, 1 / 3, 2 / 3, 2 / 3, 1]


@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_bad_radius_or_share_is_an_error(value):
    with pytest.raises(ValueError, match=f"radius_mm={value}: is not a radius"):
        metrics.success_rate(ERRORS, value)
    with pytest.raises(ValueError, match=f"share={value}: give"):
        metrics.error_quantile(ERRORS, value)
    with pytest.raises(ValueError, match="share=95: give"):
        metrics.error_quantile(ERRORS, 95)

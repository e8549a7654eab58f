import inspect
import json
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pin_lightning.metrics import (
    MeanRadialError,
    radial_errors,
    read_curves,
    running_mean,
    success_rates,
    summarise,
)


def random_batch(seed, batch, landmarks=4):
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.randn(batch, landmarks, 3, generator=generator) * 10
    truth = torch.randn(batch, landmarks, 3, generator=generator) * 10
    defined = torch.rand(batch, landmarks, generator=generator) < 0.7
    return predicted, torch.where(defined[..., None], truth, torch.nan), defined


def test_radial_errors_by_hand():
    predicted = np.array([[[3.0, 4.0, 0.0], [1.0, 1.0, 1.0]], [[0.0, 0.0, 7.0], [2.0, 3.0, 6.0]]])
    defined = np.array([[True, False], [True, True]])
    errors = radial_errors(predicted, np.zeros_like(predicted), defined)
    np.testing.assert_array_equal(errors, [[5.0, np.nan], [7.0, 7.0]])


def test_radial_errors_of_numpy_and_torch_agree_with_linalg_norm():
    predicted, truth, defined = random_batch(0, batch=5)
    by_torch = radial_errors(predicted, truth, defined)
    by_numpy = radial_errors(predicted.numpy(), truth.numpy(), defined.numpy())
    expected = np.linalg.norm(predicted.numpy() - truth.numpy(), axis=-1)
    np.testing.assert_allclose(by_numpy, expected, rtol=1e-6)
    np.testing.assert_allclose(by_torch.numpy(), expected, rtol=1e-6)
    assert by_numpy.dtype == np.float32
    assert by_torch.dtype == torch.float32


def test_undefined_wins_over_a_number_in_the_truth():
    positions = np.zeros((1, 3))
    assert np.isnan(radial_errors(positions, positions, np.array([False]))).all()


def test_radial_errors_do_not_broadcast():
    unchecked = inspect.unwrap(radial_errors)  # as outside pytest, without annotation checks
    with pytest.raises(ValueError, match=r"truth \(3, 3\)"):
        unchecked(np.zeros((3, 3, 3)), np.zeros((3, 3)), np.ones((3, 3), dtype=bool))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=30))
def test_summary_agrees_with_the_statistics_module(values):
    summary = summarise(np.array([*values, np.nan]))
    assert summary["n"] == len(values)
    assert summary["mean"] == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert summary["sd"] == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-9)
    assert summary["median"] == pytest.approx(statistics.median(values), abs=1e-9)


def test_summary_of_one_error_has_no_spread_and_fits_json():
    summary = summarise(np.array([[2.5, np.nan]], dtype=np.float32))
    assert json.loads(json.dumps(summary, allow_nan=False)) == {
        "mean": 2.5,
        "sd": 0.0,
        "median": 2.5,
        "n": 1,
    }


def test_summary_of_single_precision_errors_is_summed_in_double():
    errors = np.full(100_001, 0.1, dtype=np.float32)
    assert summarise(errors)["mean"] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_nothing_finite_is_an_error():
    with pytest.raises(ValueError, match="none of 2 is finite"):
        summarise(np.array([np.nan, np.inf]))
    with pytest.raises(ValueError, match="none of 0 is finite"):
        success_rates(np.zeros(0), [1.0])


def test_success_rates_count_the_border_and_skip_the_undefined():
    errors = np.array([[0.0, 2.0], [2.5, np.nan]])
    assert success_rates(errors, [0.0, 2.0, 2.4, 10.0]) == [1 / 3, 2 / 3, 2 / 3, 1.0]


@pytest.mark.parametrize("radius_mm", [-1.0, float("nan")])
def test_bad_radius_is_an_error(radius_mm):
    with pytest.raises(ValueError, match="is not a radius"):
        success_rates(np.ones(1), [1.0, radius_mm])


def test_mean_radial_error_over_uneven_batches_is_the_mean_over_landmarks():
    metric = MeanRadialError()
    errors = []
    for seed, batch in enumerate([1, 5, 2]):
        predicted, truth, defined = random_batch(seed, batch)
        metric.update(predicted, truth, defined)
        errors.append(np.linalg.norm((predicted - truth).numpy(), axis=-1)[defined.numpy()])
    assert metric.compute().item() == pytest.approx(np.concatenate(errors).mean(), rel=1e-6)
    mean_of_means = np.mean([error.mean() for error in errors])
    assert metric.compute().item() != pytest.approx(mean_of_means, rel=1e-3)


def test_mean_radial_error_adds_over_processes():
    states = []
    for seed, batch in enumerate([1, 5]):
        metric = MeanRadialError()
        metric.update(*random_batch(seed, batch))
        states.append({"sum_mm": metric.sum_mm, "count": metric.count})
    whole = MeanRadialError()
    parts = zip(random_batch(0, 1), random_batch(1, 5), strict=True)
    whole.update(*(torch.cat(part) for part in parts))
    for name, reduce in metric._reductions.items():
        gathered = reduce(torch.stack([state[name] for state in states]))
        assert gathered.item() == pytest.approx(getattr(whole, name).item(), rel=1e-6)


def test_mean_radial_error_resets_and_is_nan_without_landmarks():
    metric = MeanRadialError()
    predicted, truth, defined = random_batch(0, batch=3)
    metric.update(predicted, truth, defined)
    metric.reset()
    metric.update(predicted, torch.full_like(truth, torch.nan), torch.zeros_like(defined))
    assert torch.isnan(metric.compute())


def test_diverged_prediction_is_not_hidden():
    metric = MeanRadialError()
    truth = torch.zeros(1, 2, 3)
    predicted = truth.clone()
    predicted[0, 0] = torch.nan
    metric.update(predicted, truth, torch.ones(1, 2, dtype=torch.bool))
    assert torch.isnan(metric.compute())


@pytest.mark.parametrize(("count", "half"), [(1, 0), (5, 0), (5, 2), (2, 3)])
def test_running_mean_agrees_with_slices(count, half):
    values = np.random.default_rng(0).normal(size=count)
    expected = [values[max(0, i - half) : i + half + 1].mean() for i in range(count)]
    np.testing.assert_allclose(running_mean(values, half), expected)


def test_curves_skip_gaps_unknown_columns_and_what_is_not_finite(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,loss,error,step\n0,2.5,,9\n0,,7.0,9\n1,nan,,19\n1,1.5,,29\n1,1,,\n")
    curves = read_curves(path, ["loss", "error", "absent"])
    assert {name: curve.tolist() for name, curve in curves.items()} == {
        "loss": [[9.0, 2.5], [29.0, 1.5]],
        "error": [[9.0, 7.0]],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "metrics.csv: has no training curve"),
        ("loss\n1.0\n", "metrics.csv: has no training curve"),
        ("step,loss\n1,\n", "metrics.csv: has no training curve"),
        ("step,loss\n1,high\n", "metrics.csv: column loss: .*'high'"),
    ],
)
def test_bad_curves_are_refused(tmp_path, text, message):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_curves(path, ["loss"])

import numpy as np
import pytest

from pin_lightning.reports.figures.curves import read_curves, running_mean


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

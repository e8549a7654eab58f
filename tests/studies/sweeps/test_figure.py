import numpy as np
from studies.sweeps.test_rows import evaluation_of, job

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.studies.sweeps.figure import sweep_figure, swept_values
from pin_lightning.studies.sweeps.published import ALL, published_of
from pin_lightning.studies.sweeps.rows import rows_of
from pin_lightning.studies.sweeps.table import cells_of


def cells(errors, published=None):
    jobs = [
        job(evaluation_of(np.array(values, float)[:, None], ["a"]), method)
        for method, values in errors.items()
    ]
    settings = BootstrapSettings(resamples=100)
    return cells_of(rows_of(jobs), None, published_of(published or {}), settings)


def test_a_sweep_over_anything_but_one_number_has_no_values():
    assert swept_values(["model.alpha=1", "model.alpha=0.5"]) == ("model.alpha", [1.0, 0.5])
    assert swept_values(["model.alpha=1", "seed=1"]) is None
    assert swept_values(["update_rule=A", "update_rule=B"]) is None
    assert swept_values(["a=1, seed=1", "a=2, seed=1"]) is None
    assert swept_values(["seed=1"]) is None


def test_a_sweep_over_a_number_is_a_line_in_its_order():
    shown = cells({"model.alpha=1": [3, 5], "model.alpha=0": [1, 2]})
    axes = sweep_figure(shown, 0.95, "a $title").axes[0]
    line = axes.lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [0, 1])
    np.testing.assert_array_equal(line.get_ydata(), [1.5, 4])
    assert axes.get_yscale() == "linear"


def test_one_bad_end_does_not_hide_the_rest():
    shown = cells({"a=0": [1, 2], "a=0.5": [2, 2], "a=1": [60, 80]})
    axes = sweep_figure(shown, 0.95, "").axes[0]
    assert axes.get_yscale() == "log"
    assert {1, 10, 50}.issubset(axes.get_yticks())


def test_methods_are_rows_with_published_numbers_beside():
    published = {"PIN2": {"errors": {ALL: [6.5, 4]}}}
    axes = sweep_figure(cells({"PIN1": [3, 5], "PIN2": [1, 2]}, published), 0.95, "").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["PIN1", "PIN2"]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    assert [tuple(one.get_xydata()[0]) for one in diamonds] == [(6.5, 1.0)]
    lines = {line.get_marker(): line.get_xdata().tolist() for line in axes.lines}
    assert lines["o"] == [4, 1.5]


def test_long_names_keep_their_ends():
    path = "data.root=/a/very/long/path/to/the/skulls/of/year_"
    axes = sweep_figure(cells({f"{path}1": [1, 2], f"{path}2": [1, 2]}), 0.95, "").axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert [label[-6:] for label in labels] == ["year_1", "year_2"]
    assert {len(label) for label in labels} == {40}

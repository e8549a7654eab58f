import numpy as np

from pin_lightning.evaluation.coverage import Covered
from pin_lightning.reports.pages.charts import coverage_figure, success_figure

ERRORS = np.array([[0.5, 1.0], [2.0, np.nan]])


def test_the_curve_is_the_share_within_each_radius():
    figure = success_figure({"this $run": ERRORS, "other": 2 * ERRORS}, (0.5, 1, 2))
    own, other = figure.axes[0].lines
    radii, shares = own.get_data()
    np.testing.assert_allclose(radii[1:], [0.5, 1.0, 2.0])
    np.testing.assert_allclose(shares, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(other.get_xdata()[1:], [1.0, 2.0, 4.0])
    assert own.get_drawstyle() == "steps-post"
    assert own.get_linestyle() != other.get_linestyle()
    figure.draw_without_rendering()


def test_the_axis_marks_the_radii_that_it_shows():
    axes = success_figure({"this run": ERRORS}, (0.5, 1, 2, 50)).axes[0]
    assert axes.get_xticks().tolist() == [0.5, 1, 2]


def test_errors_of_zero_can_be_drawn():
    success_figure({"this run": np.zeros((2, 2))}, (0.5,)).draw_without_rendering()


def test_observed_stands_over_asked_and_that_of_predictions_is_marked():
    curve = [Covered(0.5, 0.55, [0.4, 0.6], 1.0), Covered(0.9, 0.88, None, 2.0)]
    axes = coverage_figure(curve, 0.9).axes[0]
    diagonal, observed, own = axes.lines
    np.testing.assert_array_equal(*diagonal.get_data())
    np.testing.assert_array_equal(observed.get_xydata(), [[0.5, 0.55], [0.9, 0.88]])
    np.testing.assert_array_equal(own.get_xydata(), [[0.9, 0.88]])
    low, high = axes.get_ylim()
    assert low < 0.4
    assert high > 1

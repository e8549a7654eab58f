import numpy as np
from studies.comparison.test_paired import SETTINGS, named, two_runs

from pin_lightning.reports.figures.plots import BLUE, ORANGE
from pin_lightning.studies.comparison.paired import compare
from pin_lightning.studies.comparison.plot import UNCLEAR, comparison_figure


def markers(figure):
    lines = figure.axes[0].get_lines()
    return [line for line in lines if line.get_marker() in ("o", "D")]


def test_all_landmarks_are_on_top_then_what_b_improves_most():
    a, b = two_runs(0)
    found = compare(a, b, named(4), [1.0], SETTINGS)
    figure = comparison_figure(found, "A and B")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "All landmarks"
    drawn = [line.get_xdata()[0] for line in markers(figure)]
    assert drawn[0] == found.numbers["mean"].difference
    expected = [found.landmarks[name].difference for name in labels[1:]]
    assert drawn[1:] == expected == sorted(expected)


def test_colour_says_who_is_closer_where_that_can_be_told():
    a, b = two_runs(4)
    b[:, 1] = a[:, 1] + 1 + 0.1 * np.arange(len(a))
    a[:, 2] = b[:, 2]
    figure = comparison_figure(compare(a, b, named(4), [1.0], SETTINGS), "x")
    rows = dict(zip(figure.axes[0].get_yticklabels(), markers(figure), strict=True))
    colours = {label.get_text(): line.get_color() for label, line in rows.items()}
    assert colours["mark 0"] == BLUE
    assert colours["mark 1"] == ORANGE
    assert colours["mark 2"] == UNCLEAR


def test_long_names_dollar_signs_and_single_cases_can_be_drawn(tmp_path):
    found = compare(np.array([[1.0]]), np.array([[2.0]]), ["$x" + 50 * "y"], [1.0], SETTINGS)
    comparison_figure(found, "A: $a B: b").savefig(tmp_path / "one.png")

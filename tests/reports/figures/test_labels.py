import numpy as np
from matplotlib.figure import Figure

from pin_lightning.reports.figures.labels import list_landmarks, marks_of


def listed(names, errors):
    axes = Figure(figsize=(4, 4), dpi=100).add_subplot()
    list_landmarks(axes, names, np.array(errors))
    return [line.split() for text in axes.texts for line in text.get_text().splitlines()]


def test_short_names_stand_for_themselves_and_long_ones_get_numbers_in_a_list_with_errors():
    assert marks_of(["51", "7", "CSP"]) == ["51", "7", "CSP"]
    assert marks_of(["CSP", "frontHead"]) == ["1", "2"]
    assert listed(["51", "7"], [0.25, np.nan]) == [["51", "0.25"], ["7"]]
    assert listed(["front", "CSP"], [1.0, 2.0]) == [["1", "front", "1.00"], ["2", "CSP", "2.00"]]


def test_of_many_landmarks_those_of_the_largest_errors_are_listed():
    names = [f"landmark{index}" for index in range(100)]
    rows = listed(names, np.arange(100.0))
    assert len(rows) == 60
    assert {row[0] for row in rows} == {str(number) for number in range(41, 101)}

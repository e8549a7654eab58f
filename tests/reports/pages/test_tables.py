import math

from pin_lightning.reports.pages import tables
from pin_lightning.reports.pages.tables import UNKNOWN, number, percent, range_text, three_digits


def test_three_digits():
    digits = {9.996: "10.0", 99.96: "100", -0.5: "-0.500", 0.0123: "0.0123"}
    assert {value: three_digits(value) for value in digits} == digits
    assert [three_digits(value) for value in (math.nan, math.inf)] == [UNKNOWN, UNKNOWN]
    for value in (0.0357, 0.777, 3.14159, 42.42, 999.0):  # as the format language
        assert float(three_digits(value)) == float(f"{value:.3g}")


def test_an_interval_has_the_places_of_its_value():
    assert range_text([9.1, 12.25], 10.7) == "9.1 to 12.2"
    assert range_text([0.0, 0.5], 0.0) == "0.00 to 0.50"
    assert range_text(None, 1.0) == ""
    assert range_text([0.0, 1.0], None) == ""


def test_percent_never_rounds_to_all_or_none():
    assert [percent(one) for one in (0.0, 0.00001, math.nan)] == ["0", "0.1", UNKNOWN]


def test_cells_sort_by_their_values():
    cell = number(2.5, [2.0, 3.0])
    assert (cell.value, cell.detail) == (2.5, "2.00 to 3.00")
    assert number(math.nan).value is None
    assert tables.share(0.5).value == 0.5
    assert (tables.count(7).text, tables.count(7).value) == ("7", 7.0)
    assert [tables.failures(one).tone for one in (0, 1)] == ["", "bad"]


def test_a_bar_is_the_share_of_the_largest():
    cells = [tables.barred(2.0, 8.0), tables.barred(9.0, 8.0), tables.barred(2.0, 0.0)]
    assert [cell.share for cell in cells] == [0.25, 1.0, None]
    assert tables.barred(math.nan, 8.0).share is None

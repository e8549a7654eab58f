import math

import pytest

from pin_lightning.reports.pages.tables import (
    UNKNOWN,
    barred,
    count,
    number,
    percent,
    range_text,
    share,
    three_digits,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.18, "0.180"),
        (4.0223, "4.02"),
        (9.996, "10.0"),
        (99.96, "100"),
        (1234.5, "1234"),
        (-0.5, "-0.500"),
        (0.0123, "0.0123"),
        (0.0, "0"),
        (None, UNKNOWN),
        (math.nan, UNKNOWN),
        (math.inf, UNKNOWN),
    ],
)
def test_three_digits(value, text):
    assert three_digits(value) == text


@pytest.mark.parametrize("value", [0.0357, 0.777, 3.14159, 42.42, 999.0])
def test_three_digits_are_those_of_the_format_language(value):
    assert float(three_digits(value)) == float(f"{value:.3g}")


def test_an_interval_has_the_places_of_its_value():
    assert range_text([0.17, 0.194], 0.18) == "0.170 to 0.194"
    assert range_text([9.1, 12.25], 10.7) == "9.1 to 12.2"
    assert range_text([0.0, 0.5], 0.0) == "0.00 to 0.50"
    assert range_text(None, 1.0) == ""
    assert range_text([0.0, 1.0], None) == ""


def test_percent_never_rounds_to_all_or_none():
    assert [percent(one) for one in (1.0, 0.0)] == ["100", "0"]
    assert [percent(one) for one in (0.9999, 0.00001, 0.574)] == ["99.9", "0.1", "57.4"]
    assert [percent(one) for one in (None, math.nan)] == [UNKNOWN, UNKNOWN]


def test_cells_sort_by_their_values():
    assert number(2.5, [2.0, 3.0]).value == 2.5
    assert number(2.5, [2.0, 3.0]).detail == "2.00 to 3.00"
    assert number(math.nan).value is None
    assert share(0.5).value == 0.5
    assert (count(7).text, count(7).value) == ("7", 7.0)


def test_a_bar_is_the_share_of_the_largest():
    assert barred(2.0, 8.0).share == 0.25
    assert barred(9.0, 8.0).share == 1.0
    assert barred(2.0, 0.0).share is None
    assert barred(math.nan, 8.0).share is None

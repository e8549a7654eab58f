import numpy as np

from pin_lightning.common.tables import csv_number, markdown


def test_csv_numbers():
    values = (1, 0.1, np.float64(1 / 3), np.nan, np.inf, None)
    assert [csv_number(value) for value in values] == ["1.0", "0.1", repr(1 / 3), "", "", ""]


def test_markdown_keeps_its_columns_whatever_the_names():
    text = markdown(["a", "b"], [["x|y", ""], ["two\nlines", "1"]])
    assert text == "| a | b |\n| --- | ---: |\n| x\\|y |  |\n| two lines | 1 |\n"

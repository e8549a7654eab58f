import numpy as np
import pytest

from pin_lightning.common.tables import csv_number, markdown, read_rows


def test_csv_numbers():
    values = (1, 0.1, np.float64(1 / 3), np.nan, np.inf, None)
    assert [csv_number(value) for value in values] == ["1.0", "0.1", repr(1 / 3), "", "", ""]


def test_rows_are_read_by_name_and_numbers_may_lack(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('\ufeffname,x,y\n"a,\n b",1.5,\nc,2\n', "utf-8")
    first, second = read_rows(path, ("name", "x"), ("x", "y", "z"))
    assert (first["name"], first["x"], second["x"]) == ("a,\n b", 1.5, 2.0)
    assert np.isnan([first["y"], first["z"], second["y"]]).all()
    with pytest.raises(ValueError, match=r"t\.csv: line 4: has no cell y"):
        read_rows(path, ("name", "y"))
    path.write_text("name\n\n1\nc\n")
    with pytest.raises(ValueError, match=r"t\.csv: line 4: name is 'c'; give a number"):
        read_rows(path, numbers=("name",))


def test_markdown_keeps_its_columns_whatever_the_names():
    text = markdown(["a", "b"], [["x|y", ""], ["two\nlines", "1"]])
    assert text == "| a | b |\n| --- | ---: |\n| x\\|y |  |\n| two lines | 1 |\n"

import numpy as np
import pytest

from pin_lightning.common.tables import csv_number, csv_text, markdown, read_rows


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


def test_text_stays_text_in_a_spreadsheet_and_is_read_back(tmp_path):
    texts = ["=1+1", "+x", "-x", "@x", "\tx", "'=x", "''", "-", "+1e3", "-inf", "nose"]
    text = csv_text([["name", "=b"], *([one, -1.5] for one in texts)])
    shown = [line.split(",")[0] for line in text.splitlines()]
    assert shown[1:6] == ["'=1+1", "'+x", "'-x", "'@x", "'\tx"]
    assert shown[6:] == ["''=x", "''", "-", "+1e3", "-inf", "nose"]
    assert text.splitlines()[1].endswith(",-1.5")
    (tmp_path / "t.csv").write_text(text)
    rows = read_rows(tmp_path / "t.csv", ("name",), ("=b",))
    assert [row["name"] for row in rows] == texts
    assert {row["=b"] for row in rows} == {-1.5}


def test_text_is_read_in_one_spelling(tmp_path):
    (tmp_path / "t.csv").write_text("na\u0308me\nMu\u0308ller\n", "utf-8")
    assert read_rows(tmp_path / "t.csv", ("n\u00e4me",)) == [{"n\u00e4me": "M\u00fcller"}]


def test_markdown_keeps_its_columns_whatever_the_names():
    text = markdown(["a", "b"], [["x|y", ""], ["two\nlines", "1"]])
    assert text == "| a | b |\n| --- | ---: |\n| x\\|y |  |\n| two lines | 1 |\n"

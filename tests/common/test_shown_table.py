import pytest
from rich.table import Column, Table

from pin_lightning.common.shown_table import print_table


def table():
    made = Table(Column("Landmark", no_wrap=True), "Cases", "Mean", "Median", "finding")
    made.add_row("front head", "100", "12.345", "10.123", "lies 4 mm from the others; look at it")
    return made


@pytest.mark.parametrize("columns", ["1", "20", "60", "200"])
def test_every_word_is_there_however_narrow_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    print_table(table())
    printed = capsys.readouterr().out
    words = ["Landmark", "Median", "front head", "12.345", "10.123", "lies", "others;", "look"]
    assert all(word in printed for word in words)
    assert "…" not in printed


def test_a_wide_terminal_has_long_cells_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    print_table(table())
    assert "lies 4 mm from the others; look at it" in capsys.readouterr().out

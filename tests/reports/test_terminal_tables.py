import io
from dataclasses import replace

import numpy as np
from evaluation.test_evaluation import small_evaluation
from rich.console import Console

from pin_lightning.evaluation.summary import metrics_of
from pin_lightning.reports.terminal_tables import error_table, pose_table


def printed(table):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_table_shows_every_landmark_within_80_columns():
    names = ("[red]tip[/red]", "a landmark with a rather long name, as anatomists like them")
    text = printed(error_table(metrics_of(replace(small_evaluation(), names=names)), "test [x]"))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "test [x] (radial error, mm)" in text
    assert "[red]tip[/red]" in text
    row = next(line for line in lines if "All landmarks" in line)
    assert " ".join(row.replace("│", " ").split()) == "All landmarks 3 4.00 1.00 4.00 4.33"


def test_undefined_landmark_is_a_dash():
    evaluation = replace(small_evaluation(), defined=np.array([[True, False], [True, False]]))
    text = printed(error_table(metrics_of(evaluation), "test"))
    row = next(line for line in text.splitlines() if "base" in line)
    assert row.replace("│", " ").split() == ["base", "0", "-", "-", "-", "-"]


def test_poses_stand_in_one_row():
    numbers = {"n": 20, "known": 19, "right": 18, "uncertain": 2, "wrong_and_sure": 0}
    errors = {
        "rotation_degrees": {"median": 1.094, "largest": 179.0},
        "position_mm": {"median": None, "largest": 0.5},
    }
    text = printed(pose_table({"poses": {**numbers, **errors}}))
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [line for line in text.splitlines() if "18 of 19" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["20", "18 of 19", "2", "0", "1.09", "179.00", "-", "0.50"]

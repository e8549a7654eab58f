from dataclasses import replace

import numpy as np
from page_runs import evaluation_of

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.reports.pages import run_tables
from pin_lightning.reports.pages.methods import compare
from pin_lightning.reports.pages.run_tables import case_table, landmark_table
from pin_lightning.reports.pages.tables import UNKNOWN

SETTINGS = ReportSettings(radii_mm=(1.0, 4.0), bootstrap=BootstrapSettings(resamples=200))


def column(table, title):
    (index,) = [i for i, one in enumerate(table.columns) if one.title == title]
    return [row[index] for row in table.rows]


def test_methods():
    evaluation = evaluation_of()
    table = run_tables.method_table(compare(evaluation, []), SETTINGS)
    errors, guess = evaluation.errors_mm, evaluation.mean_shape_errors_mm
    assert [cell.text for cell in column(table, "Method")] == ["this run", "mean shape"]
    assert [cell.value for cell in column(table, "Mean, mm")] == [errors.mean(), guess.mean()]
    assert column(table, "≤ 4 mm, %")[0].value == (errors <= 4).mean()
    own, farther = column(table, "Farther than this run, mm")
    assert own.value is None
    assert farther.value == (guess - errors).mean()
    assert all(" to " in cell.detail for cell in column(table, "Median, mm"))


def test_landmarks():
    evaluation = evaluation_of()
    table = landmark_table(evaluation, 20.0)
    assert [cell.text for cell in column(table, "Landmark")] == list(evaluation.names)
    np.testing.assert_allclose(
        [cell.value for cell in column(table, "Mean, mm")], evaluation.errors_mm.mean(axis=0)
    )
    assert [cell.text for cell in column(table, "Failed")] == ["1", "0", "0", "0"]
    assert column(table, "Worst case")[0].text == "case_11"
    assert max(cell.share for cell in column(table, "Mean, mm")) == 1.0


def test_landmarks_with_error_bars():
    evaluation = evaluation_of()
    within = np.zeros(evaluation.defined.shape)
    within[:6, 1] = 1.0
    table = landmark_table(evaluation, 20.0, within, np.full(within.shape, 3.0))
    assert [cell.text for cell in column(table, "Within radius, %")] == ["0", "50.0", "0", "0"]
    assert column(table, "Median radius, mm")[0].value == 3.0


def test_what_has_no_truth_is_left_out():
    evaluation = evaluation_of()
    defined = evaluation.defined.copy()
    defined[:, 1] = False
    defined[2] = False
    evaluation = replace(evaluation, defined=defined)
    assert len(landmark_table(evaluation, 20.0).rows) == 3
    cases = case_table(evaluation, 20.0)
    assert len(cases.rows) == 11
    assert "case_2" not in [cell.text for cell in column(cases, "Case")]


def test_cases_come_with_the_largest_error_first():
    table = case_table(evaluation_of(), 20.0)
    means = [cell.value for cell in column(table, "Mean, mm")]
    assert means == sorted(means, reverse=True)
    assert table.rows[0][0].text == "case_11"
    assert column(table, "Farthest landmark")[0].text == "mark_0"
    assert [cell.value for cell in column(table, "Failed")] == [1.0] + [0.0] * 11


def test_planes():
    found = {"n": 9, "angle_degrees": {"mean": 2.0, "sd": 1.0, "median": 1.5}, "offset_mm": None}
    (row,) = run_tables.plane_table({"TV": found}).rows
    texts = ["TV", "9", "2.00", "1.00", "1.50", UNKNOWN, UNKNOWN, UNKNOWN]
    assert [cell.text for cell in row] == texts

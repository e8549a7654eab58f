from dataclasses import replace

import numpy as np
import pytest
from page_runs import evaluation_of

from pin_lightning.reports.pages.failures import find_failures


def test_what_is_further_than_the_mean_shape_has_failed():
    evaluation = evaluation_of()
    found = find_failures(evaluation, None)
    assert found.limit_mm == pytest.approx(evaluation.mean_shape_errors_mm.mean())
    assert "mean shape" in found.limit
    assert (found.failed, found.cases, found.known) == (1, 1, 48)
    ((case, landmark, error, spread),) = found.table.rows
    assert (case.text, landmark.text) == ("case_11", "mark_0")
    assert error.value == evaluation.errors_mm[11, 0]
    assert spread.value == evaluation.spread_mm[11, 0]


def test_a_limit_of_ones_own_and_the_largest_first():
    evaluation = evaluation_of()
    found = find_failures(evaluation, 2.0)
    errors = [row[2].value for row in found.table.rows]
    assert errors == sorted(evaluation.errors_mm[evaluation.errors_mm > 2.0], reverse=True)
    assert found.failed == len(errors)
    assert "report.failure_mm" in found.limit


def test_where_none_failed_the_ten_largest_are_shown():
    evaluation = evaluation_of()
    found = find_failures(evaluation, 1000.0)
    assert (found.failed, found.cases) == (0, 0)
    errors = [row[2].value for row in found.table.rows]
    assert errors == sorted(evaluation.errors_mm.flat, reverse=True)[:10]


def test_a_radius_that_the_error_exceeds_stands_out():
    evaluation = evaluation_of()
    radii = np.full(evaluation.defined.shape, 5.0)
    found = find_failures(evaluation, 1000.0, radii)
    assert [row[4].tone for row in found.table.rows] == ["bad"] + [""] * 9


def test_unknown_errors_are_no_failures():
    evaluation = evaluation_of(num_cases=2)
    defined = np.zeros_like(evaluation.defined)
    defined[0, :3] = True
    found = find_failures(replace(evaluation, defined=defined), 1000.0)
    assert found.known == len(found.table.rows) == 3

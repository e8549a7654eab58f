from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from page_runs import evaluation_of

from pin_lightning.reports.pages.methods import MEAN_SHAPE, OWN, compare
from pin_lightning.runs.other_methods import OtherMethod


def other_of(evaluation, shift, leave_out=(), name="other"):
    """A method that is off by a shift along x."""
    found = {
        (case, landmark): evaluation.truth_world[i, j] + np.array([shift, 0, 0])
        for i, case in enumerate(evaluation.cases)
        for j, landmark in enumerate(evaluation.names)
        if (case, landmark) not in leave_out
    }
    return OtherMethod(name, Path("other.csv"), found, 1.5)


def test_errors_are_to_the_truth_of_this_run():
    evaluation = evaluation_of(num_cases=3)
    comparison = compare(evaluation, [other_of(evaluation, 4.0)])
    own, guess, other = comparison.methods
    assert (own.name, guess.name, other.name) == (OWN, MEAN_SHAPE, "other")
    np.testing.assert_array_equal(own.errors_mm, evaluation.errors_mm)
    np.testing.assert_array_equal(guess.errors_mm, evaluation.mean_shape_errors_mm)
    np.testing.assert_allclose(other.errors_mm, 4.0)
    np.testing.assert_allclose(comparison.difference_mm(other), 4.0 - evaluation.errors_mm)
    assert (own.seconds, guess.seconds, other.seconds) == (0.25, None, 1.5)


def test_only_what_all_methods_have_is_compared():
    evaluation = evaluation_of(num_cases=3)
    defined = evaluation.defined.copy()
    defined[0, 0] = False
    evaluation = replace(evaluation, defined=defined)
    left_out = {("case_2", name) for name in evaluation.names} | {("case_1", "mark_3")}
    comparison = compare(evaluation, [other_of(evaluation, 1.0, left_out)])
    assert comparison.known == 11
    assert comparison.compared == 3 + 3
    assert comparison.compared_cases == 2
    for method in comparison.methods:
        assert np.isfinite(method.errors_mm).sum() == 6


def test_a_method_of_other_cases_is_refused():
    evaluation = evaluation_of(num_cases=3)
    stranger = replace(evaluation, cases=("x", "y", "z"))
    with pytest.raises(ValueError, match=r"report\.others\.other=.*'mark_0' of 'x'.*'case_0'"):
        compare(evaluation, [other_of(stranger, 1.0)])


def test_methods_without_a_common_landmark_are_refused():
    evaluation = evaluation_of(num_cases=2)
    halves = [{(case, name) for name in evaluation.names} for case in evaluation.cases]
    others = [
        other_of(evaluation, 1.0, half, name) for half, name in zip(halves, "ab", strict=True)
    ]
    with pytest.raises(ValueError, match="a, b have no landmark in common"):
        compare(evaluation, others)

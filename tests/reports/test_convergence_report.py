from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import small_evaluation

from pin_lightning.evaluation.convergence import Convergence, read_convergence, write_convergence
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.reports.convergence_report import report_convergence, report_fold_convergence


def falling(end_mm):
    return Convergence(
        error_mm=np.array([9.0, 6.0, end_mm]),
        movement_mm=np.array([np.nan, 2.0, 1.0]),
        spread_mm=np.array([4.0, 1.0, 0.5]),
    )


def test_a_run_keeps_curves_that_end_at_the_errors_of_its_predictions(short_run):
    splits = read_convergence(short_run / "convergence.csv")
    evaluations = read_predictions(short_run / "predictions.csv")
    assert set(splits) == set(evaluations) == {"val", "test"}
    for split, evaluation in evaluations.items():
        assert tuple(splits[split]) == evaluation.cases
        ends = [one.error_mm[-1] for one in splits[split].values()]
        np.testing.assert_allclose(ends, evaluation.errors_mm.mean(axis=1), atol=1e-3)


def test_folds_are_joined_where_all_have_curves(tmp_path):
    evaluation = small_evaluation()
    folders = [tmp_path / "fold0", tmp_path / "fold1"]
    curves = {"a": falling(4.0), "b": falling(3.0)}
    write_convergence(folders[0] / "convergence.csv", {"val": curves, "test": {"a": curves["a"]}})
    report_fold_convergence(tmp_path / "run", folders, evaluation)
    assert not (tmp_path / "run").exists()  # the second fold has none
    write_convergence(folders[1] / "convergence.csv", {"test": {"b": curves["b"]}})
    report_fold_convergence(tmp_path / "run", folders, evaluation)
    joined = read_convergence(tmp_path / "run" / "convergence.csv")
    assert {name: one.error_mm[-1] for name, one in joined["test"].items()} == {"a": 4.0, "b": 3.0}
    assert list(joined) == ["test"]
    assert (tmp_path / "run" / "figures" / "test_convergence.png").is_file()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_cases_without_any_true_position_do_no_harm(tmp_path):
    evaluation = small_evaluation()
    known = evaluation.defined.copy()
    known[1] = False
    evaluation = replace(evaluation, defined=known)
    unknown = replace(falling(3.0), error_mm=np.full(3, np.nan))
    report_convergence(tmp_path, {"test": evaluation}, {"test": {"a": falling(4.0), "b": unknown}})
    assert (tmp_path / "figures" / "test_convergence.png").is_file()


def test_one_step_has_no_course_to_be_shown(tmp_path):
    evaluation = small_evaluation()
    one = Convergence(np.array([9.0, 4.0]), np.array([np.nan, 1.0]), np.array([4.0, 0.5]))
    report_convergence(tmp_path, {"test": evaluation}, {"test": {"a": one, "b": one}})
    assert list(read_convergence(tmp_path / "convergence.csv")["test"]) == ["a", "b"]
    assert not (tmp_path / "figures").exists()

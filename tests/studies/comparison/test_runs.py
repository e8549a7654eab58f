import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation, small_evaluation

from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.studies.comparison.runs import pair_evaluations, pair_runs


def reordered(evaluation, cases, names):
    """The same evaluation with only these cases and landmarks, in this order."""
    rows = [evaluation.cases.index(case) for case in cases]
    columns = [evaluation.names.index(name) for name in names]
    each = {k: v[rows] for k, v in vars(evaluation).items() if k not in ("cases", "names")}
    each |= {key: value[:, columns] for key, value in each.items() if value.ndim > 1}
    return replace(evaluation, cases=tuple(cases), names=tuple(names), **each)


def write_run_folder(folder, evaluation, train=()):
    write_predictions(folder / "predictions.csv", {"test": evaluation})
    split = {"train": list(train), "val": [], "test": list(evaluation.cases)}
    grid = {"size": [3, 3, 3], "spacing_mm": 1.0}
    record = {"names": list(evaluation.names), "grid": grid, "num_parameters": 1, "split": split}
    record["format_version"] = 1
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_cases_and_landmarks_meet_by_name():
    a = random_evaluation(0)
    b = reordered(a, a.cases[:0:-1], (*a.names[3:], *a.names[:3]))
    paired = pair_evaluations(a, b)
    assert (paired.cases, paired.names) == (a.cases[1:], a.names)
    np.testing.assert_array_equal(paired.a_mm, a.errors_mm[1:])
    np.testing.assert_array_equal(paired.b_mm, a.errors_mm[1:])
    assert paired.notes == (f"Left out: 1 case only in A ({a.cases[0]}).",)


def test_a_landmark_counts_where_both_runs_know_the_truth():
    a = small_evaluation()
    b = replace(a, defined=np.array([[True, False], [True, False]]))
    paired = pair_evaluations(a, b)
    np.testing.assert_array_equal(paired.a_mm, [[3, np.nan], [4, np.nan]])
    np.testing.assert_array_equal(paired.b_mm, paired.a_mm)


def test_another_annotation_is_refused_and_named():
    a, truth = small_evaluation(), small_evaluation().truth_world.copy()
    truth[0, 1, 2] += 0.5
    with pytest.raises(ValueError, match=r"base of a lie 0\.500 mm apart"):
        pair_evaluations(a, replace(a, truth_world=truth))
    truth[0, 1, 2] -= 0.4999  # as another program rounds
    assert pair_evaluations(a, replace(a, truth_world=truth)).cases == a.cases


def test_nothing_in_common_is_refused():
    a = small_evaluation()
    for b, words in (
        (replace(a, cases=("c", "d")), "no case in common"),
        (replace(a, names=("other", "top")), "no landmark in common"),
        (replace(a, defined=np.zeros((2, 2), dtype=bool)), "no true position in common"),
    ):
        with pytest.raises(ValueError, match=words):
            pair_evaluations(a, b)


def test_cases_that_the_other_run_trained_on_are_named(tmp_path):
    whole = random_evaluation(0)
    first = reordered(whole, whole.cases[:4], whole.names)
    second = reordered(whole, whole.cases[2:6], whole.names)
    a = write_run_folder(tmp_path / "a", first, train=whole.cases[4:])
    b = write_run_folder(tmp_path / "b", second, train=whole.cases[6:])
    notes = pair_runs(a, b).notes
    assert len(notes) == 3
    assert notes[0].startswith("Left out: 2 cases only in A (case, 0, case, 1)")
    assert notes[2].startswith("Warning: A was trained on 2 test cases of B (case, 4, case, 5)")
    # By its file a run is the same run; a file on its own tells no split.
    assert pair_runs(a / "predictions.csv", b).notes == notes
    (a / "run.json").unlink()
    assert len(pair_runs(a, b).notes) == 2


def test_folds_were_not_trained_on_what_another_fold_tests(tmp_path):
    whole = random_evaluation(0)
    halves = [whole.cases[:4], whole.cases[4:]]
    for fold, (test, train) in enumerate([halves, halves[::-1]]):
        part = reordered(whole, test, whole.names)
        write_run_folder(tmp_path / "folds" / f"fold{fold}", part, train)
    write_predictions(tmp_path / "folds" / "predictions.csv", {"test": whole})
    (tmp_path / "folds" / "folds.json").write_text('{"format_version": 1, "folds": 2}')
    single = write_run_folder(tmp_path / "single", reordered(whole, halves[0], whole.names))
    notes = pair_runs(tmp_path / "folds", single).notes
    assert [note.split(" (")[0] for note in notes] == ["Left out: 3 cases only in A"]

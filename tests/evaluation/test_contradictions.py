from dataclasses import replace

import numpy as np
import pytest

from pin_lightning.evaluation.contradictions import Tail, find_contradictions
from pin_lightning.evaluation.contradictions_csv import read_contradictions, write_contradictions
from pin_lightning.evaluation.evaluation import Evaluation


def predicted_cases(seed=0, num_cases=12, num_landmarks=30):
    """Errors of a tenth of a millimetre, of landmarks that are millimetres apart."""
    rng = np.random.default_rng(seed)
    shape = rng.uniform(-10, 10, (num_landmarks, 3))
    truth = shape + rng.normal(0, 0.5, (num_cases, num_landmarks, 3))
    sds = 0.1 * rng.lognormal(0, 0.3, (1, num_landmarks, 1))
    predicted = truth + sds * rng.normal(size=truth.shape)
    shown = (num_cases, num_landmarks)
    return Evaluation(
        cases=tuple(f"case {index}" for index in range(num_cases)),
        names=tuple(f"mark {index}" for index in range(num_landmarks)),
        truth_world=truth,
        defined=np.ones(shown, dtype=bool),
        predicted_world=predicted,
        mean_shape_world=truth,
        spread_mm=np.full(shown, 0.05),
        seconds=np.ones(num_cases),
        localise_seconds=np.ones(num_cases),
    )


def put_wrong(evaluation, case, places, positions):
    truth = evaluation.truth_world.copy()
    truth[case, places] = positions
    return replace(evaluation, truth_world=truth)


def test_limit_by_hand():
    tail = Tail(middle=1.0, high=1.0 + np.log(5))  # a tenth beyond, which falls by e each 1.0
    assert tail.limit(0.1) == pytest.approx(tail.high)
    assert tail.limit(0.001) == pytest.approx(tail.high + np.log(100))
    scores = np.array([tail.middle, tail.high, tail.limit(0.001), -9.0])
    np.testing.assert_allclose(tail.surprise(scores), -np.log([0.5, 0.1, 0.001, 1]))


def test_few_right_landmarks_are_named():
    named = sum(len(find_contradictions(predicted_cases(seed))) for seed in range(10))
    assert named <= 10 * 12 * 30 * 0.003


def test_shifted_and_exchanged_landmarks_and_a_case_of_another_scan():
    right = predicted_cases()
    pair = right.truth_world[3, [7, 4]]
    wrong = put_wrong(right, 3, [4, 7], pair)
    wrong = put_wrong(wrong, 5, [0], right.truth_world[5, [0]] + [0, 1.5, 0])
    ring = right.truth_world[8, [2, 3, 1]]
    wrong = put_wrong(wrong, 8, [1, 2, 3], ring)
    wrong = put_wrong(wrong, 9, slice(None), right.truth_world[9] + [2.0, 0, 0])
    before = {(one.case, one.landmarks) for one in find_contradictions(right)}
    found = {(one.case, one.kind): one for one in find_contradictions(wrong)}
    assert set(found["case 3", "exchanged"].landmarks) == {"mark 4", "mark 7"}
    assert found["case 3", "exchanged"].message == "mark 4 and mark 7 look exchanged"
    assert found["case 5", "far"].landmarks == ("mark 0",)
    assert found["case 5", "far"].error_mm[0] == pytest.approx(1.5, abs=0.5)
    assert found["case 5", "far"].error_mm > found["case 5", "far"].limit_mm
    assert (
        found["case 8", "exchanged"].message
        == "mark 1 -> mark 2 -> mark 3 -> mark 1 look exchanged"
    )
    assert len(found["case 9", "case"].landmarks) >= 28
    extra = [
        one
        for one in find_contradictions(wrong)
        if one.case not in {"case 3", "case 5", "case 8", "case 9"}
    ]
    assert len(extra) <= len(before) + 1


def test_missing_landmarks_and_few_of_them():
    whole = predicted_cases()
    defined = whole.defined.copy()
    defined[:, 5] = False
    defined[2] = False
    truth = np.where(defined[..., None], whole.truth_world, np.nan)
    some = replace(whole, defined=defined, truth_world=truth)
    some = put_wrong(some, 1, [0], some.truth_world[1, [0]] + 3.0)
    assert ("case 1", ("mark 0",)) in {
        (one.case, one.landmarks) for one in find_contradictions(some)
    }
    assert find_contradictions(predicted_cases(num_cases=2, num_landmarks=10)) == []


def test_table_is_read_back(tmp_path):
    right = predicted_cases()
    wrong = put_wrong(right, 3, [4, 7], right.truth_world[3, [7, 4]])
    wrong = put_wrong(wrong, 5, [0], right.truth_world[5, [0]] + 1.5)
    found = find_contradictions(wrong)
    write_contradictions(tmp_path / "contradictions.csv", found)
    assert read_contradictions(tmp_path / "contradictions.csv") == found
    assert read_contradictions(tmp_path / "none.csv") == []
    (tmp_path / "bad.csv").write_text(
        "number,kind,case,landmark,error_mm,limit_mm\n1,odd,a,b,1,2\n"
    )
    with pytest.raises(ValueError, match=r"bad.csv: kind is 'odd'"):
        read_contradictions(tmp_path / "bad.csv")

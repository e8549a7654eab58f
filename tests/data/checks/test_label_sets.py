from time import process_time

import pytest
from shared_cases import data_set

from pin_lightning.data.checks.label_sets import label_sets
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.survey import survey

USUAL = ["L1", "L7", "L13", "L19"]
HOW = "data.rename.names={OLD: NEW}"


def labelled(**labels):
    return {case: list(names) for case, names in labels.items()}


def of(*cases, **others):
    return dict.fromkeys(cases, USUAL) | labelled(**others)


def test_labels_that_were_renamed_are_an_error_of_their_case():
    (finding,) = label_sets(of("A", "B", C=["P_1", "P_2", "P_3", "P_4"]))
    assert (finding.level, finding.case) == ("error", "C")
    assert "its labels (P_1, P_2, P_3, P_4) are not those of the other cases" in finding.message
    assert "(L1, L7, L13, L19)" in finding.message
    assert HOW in finding.message


def test_few_labels_in_common_are_as_good_as_none():
    """By hand: of four labels one or two are those of the others, then three."""
    assert [one.case for one in label_sets(of("A", "B", C=["L1", "P2", "P3", "P4"]))] == ["C"]
    assert [one.case for one in label_sets(of("A", "B", C=["L1", "L7", "P3", "P4"]))] == ["C"]
    assert label_sets(of("A", "B", C=["L1", "L7", "L13", "P4"])) == []


def test_missing_landmarks_and_more_landmarks_are_no_error():
    assert label_sets(of("A", "B", C=["L19"])) == []
    assert label_sets(of("A", "B", C=[*USUAL, *(f"curve_{n}" for n in range(50))])) == []
    assert label_sets(labelled(A=["L1", "L2"], B=["L3", "L4"], C=["L1", "L2", "L3", "L4"])) == []
    assert label_sets({}) == label_sets(of("A")) == []


SUGGESTED = {
    "the-case": ({name: [f"{name}_L1", f"{name}_L2"] for name in "ABC"}, "prefix={case}_"),
    "at-the-end": ({name: [f"L1 ({name})", f"L2 ({name})"] for name in "ABC"}, "suffix= ({case})"),
    "of-one": (of("A", "B", ANNA=[f"ANNA-{one}" for one in USUAL]), "prefix={case}-"),
    "a-copy": (of("A", "B", C=[f"copy of {one}" for one in USUAL]), "prefix=copy of "),
    "others-names": (
        {"a": ["Gorilla_L1", "Gorilla_L2"], "b": ["Pongo_L1", "Pongo_L2"]},
        "pattern=^[^_]*_",
    ),
    "other-word": (
        labelled(A=["L1", "L2"], B=["L1", "L2"], C=["Predicted_1", "Predicted_2"]),
        "pattern=^Predicted_' data.rename.replacement=L",
    ),
}


@pytest.mark.parametrize(("labels_of", "setting"), SUGGESTED.values(), ids=SUGGESTED)
def test_a_renaming_that_makes_the_labels_equal_is_named(labels_of, setting):
    (finding,) = label_sets(labels_of)
    assert f"data.rename.{setting}" in finding.message


def test_many_cases_take_no_time():
    labels_of = {f"case{n}": [f"case{n}_L{label}" for label in range(30)] for n in range(100)}
    begin = process_time()
    (finding,) = label_sets(labels_of)
    assert "data.rename.prefix={case}_" in finding.message
    (finding,) = label_sets(labels_of | {"x": ["y"]})
    assert process_time() - begin < 5


def test_where_no_set_is_that_of_most_cases_the_data_set_is_in_error():
    (finding,) = label_sets(labelled(A="ab", B="ab", C="xy", D="xy"))
    assert (finding.level, finding.case) == ("error", "")
    assert "a, b (A and 1 more) and x, y (C and 1 more)" in finding.message


def test_labels_are_compared_with_those_of_a_run():
    assert label_sets(of("A", B=["L7"]), USUAL) == label_sets(of("A"), ["L1"]) == []
    (finding,) = label_sets(of("A", B=["a", "b"]), USUAL)
    assert finding.case == "B"
    (finding,) = label_sets(labelled(A=["A_L1", "A_L7"], B=["B_L7"]), USUAL)
    assert finding.case == ""
    assert "are not those of the run (L1, L7, L13, L19)" in finding.message
    assert "data.rename.prefix={case}_" in finding.message


def test_one_case_that_a_program_renamed(tmp_path):
    """The labels of CARL in the shared case are those of the program that placed them."""
    cases = find_cases(data_set("lm_alpaca_renamed", tmp_path / "data"))
    found = survey(cases, tmp_path / "cache").findings
    (finding,) = [one for one in found if one.level == "error"]
    assert finding.case == "CARL"
    assert "Refined_Predicted_Landmark_1" in finding.message
    assert "L1, L7, L13" in finding.message
    rest = survey(cases, tmp_path / "cache", on_error="skip")
    assert len(rest.names) == 8
    assert list(rest.skipped) == ["CARL"]

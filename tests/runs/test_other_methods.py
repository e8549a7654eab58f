import numpy as np
import pytest
from page_runs import evaluation_of

from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.runs.other_methods import read_other, read_others


def table(path, *lines, header="case,landmark,x,y,z"):
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def test_positions_by_case_and_landmark(tmp_path):
    other = read_other("atlas", table(tmp_path / "a.csv", "anna,tip,1,2,3", "bert,tip,4,5,-6"))
    np.testing.assert_array_equal(other.at("anna", "tip"), [1, 2, 3])
    np.testing.assert_array_equal(other.at("bert", "tip"), [4, 5, -6])
    assert np.isnan(other.at("bert", "root")).all()
    assert other.seconds is None


def test_what_infer_writes_is_read(tmp_path):
    header = "volume,file,landmark,frame,x,y,z,spread_mm,seconds"
    rows = ("anna,a.nii,tip,RAS,1,2,3,0.1,2.0", "bert,b.nii,tip,RAS,1,2,3,0.1,4.0")
    other = read_other("net", table(tmp_path / "landmarks.csv", *rows, header=header))
    np.testing.assert_array_equal(other.at("anna", "tip"), [1, 2, 3])
    assert other.seconds == 3.0


def test_a_run_folder_stands_for_its_predictions(tmp_path):
    evaluation = evaluation_of(num_cases=3)
    write_predictions(tmp_path / "predictions.csv", {"test": evaluation})
    other = read_other("run", tmp_path)
    assert len(other.positions_world) == 12
    expected = evaluation.predicted_world[2, 1]
    np.testing.assert_array_equal(other.at("case_2", "mark_1"), expected)
    assert other.seconds == 0.25


def test_a_row_without_a_position_is_none(tmp_path):
    other = read_other("atlas", table(tmp_path / "a.csv", "anna,tip,,,", "bert,tip,1,2,3"))
    assert set(other.positions_world) == {("bert", "tip")}


@pytest.mark.parametrize(
    ("header", "lines", "words"),
    [
        ("landmark,x,y,z", ["tip,1,2,3"], "lacks the column case or volume"),
        ("case,landmark,x,y", ["a,tip,1,2"], "lacks the column z"),
        ("case,landmark,x,y,z", ["a,tip,1,2,three"], "line 2: z is 'three'"),
        ("case,landmark,x,y,z", ["a,tip,1,2,3"] * 2, ": tip of a is there twice"),
        ("case,landmark,x,y,z,frame", ["a,tip,1,2,3,LPS"], "frame of tip of a is LPS"),
        ("case,landmark,x,y,z", [], "has no position"),
        ("case,landmark,x,y,z", ["a,tip,,,"], "has no position"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, header, lines, words):
    path = table(tmp_path / "wrong.csv", *lines, header=header)
    with pytest.raises(ValueError, match=words) as error:
        read_other("atlas", path)
    assert str(error.value).startswith(f"report.others.atlas={path}: ")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"report\.others\.atlas=.*there is no such file"):
        read_others({"atlas": str(tmp_path / "nothing.csv")})
    assert read_others({}) == []

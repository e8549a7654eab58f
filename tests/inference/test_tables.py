from dataclasses import replace

import numpy as np
import pytest

from pin_lightning.data.landmarks.files import read_table
from pin_lightning.evaluation.conformal import Calibration, ConformalSettings
from pin_lightning.inference.records import Failed
from pin_lightning.inference.tables import failed_table, landmark_table
from pin_lightning.runs.doubts import Reviewed, ReviewedPose
from pin_lightning.runs.error_bars import ErrorBars

HEADER = "volume,file,landmark,frame,x,y,z,spread_mm,seconds"


def volume(name="a, b"):
    positions, spread = np.array([[1.0, -2.00004, 3], [np.nan, 0, 0]]), np.array([0.5, 2.0])
    return Reviewed(name, "in/a.nii", positions, spread, None, np.array([False, True]), 0.25)


def test_a_row_for_each_landmark_by_hand(tmp_path):
    with landmark_table(tmp_path / "landmarks.csv", ("tip", "base"), None) as add:
        add(volume())
        add(replace(volume(), remarks=("contrast: inverted", "texture: of noise, in numbers")))
        assert not (tmp_path / "landmarks.csv").exists()
    unlike = "unlike the training (contrast, texture)"
    assert (tmp_path / "landmarks.csv").read_text("utf-8").splitlines() == [
        f"{HEADER},remarks",
        '"a, b",in/a.nii,tip,RAS,1.0000,-2.0000,3.0000,0.5000,0.250,',
        '"a, b",in/a.nii,base,RAS,,,,2.0000,0.250,outside the scan',
        f'"a, b",in/a.nii,tip,RAS,1.0000,-2.0000,3.0000,0.5000,0.250,"{unlike}"',
        f'"a, b",in/a.nii,base,RAS,,,,2.0000,0.250,"outside the scan; {unlike}"',
    ]


def test_names_are_no_formulas_and_are_read_back(tmp_path):
    path = tmp_path / "landmarks.csv"
    with landmark_table(path, ("=tip", "-base"), None) as add:
        add(volume("@a"))
    rows = [line.split(",") for line in path.read_text("utf-8").splitlines()[1:]]
    assert [(row[0], row[2]) for row in rows] == [("'@a", "'=tip"), ("'@a", "'-base")]
    ((case, landmarks),) = read_table(path)[0].items()
    assert (case, landmarks.names) == ("@a", ("=tip", "-base"))


def test_error_bars_have_columns_of_their_own(tmp_path):
    arrays = (np.ones(2), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    bars = ErrorBars(Calibration(ConformalSettings(), ("tip", "base"), 9, *arrays), None)
    with landmark_table(tmp_path / "landmarks.csv", ("tip", "base"), bars) as add:
        add(volume())
    header, *rows = (tmp_path / "landmarks.csv").read_text("utf-8").splitlines()
    assert header == f"{HEADER},coverage,radius_mm,review,remarks"
    # A factor times the usual error or the spread, whichever is more; what lies outside is marked.
    assert [row.split(",")[-4:-1] for row in rows] == [
        ["0.9", "1.0000", "no"],
        ["0.9", "4.0000", "yes"],
    ]


def test_a_table_that_fails_is_not_there(tmp_path):
    with (
        pytest.raises(ValueError, match="zip"),
        landmark_table(tmp_path / "landmarks.csv", ("tip",), None) as add,
    ):
        add(volume())
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_finds_the_pose_has_columns_of_its_own(tmp_path):
    poses = (ReviewedPose(0.5, 1.25, False), ReviewedPose(2.0, float("inf"), True), None)
    with landmark_table(tmp_path / "landmarks.csv", ("tip", "base"), None, with_pose=True) as add:
        for pose in poses:
            add(replace(volume("a"), pose=pose))
    header, *rows = (tmp_path / "landmarks.csv").read_text("utf-8").splitlines()
    assert header == f"{HEADER},pose,pose_score,pose_lead,remarks"
    assert [row.split(",")[-4:-1] for row in rows[::2]] == [
        ["sure", "0.5000", "1.2500"],
        ["uncertain", "2.0000", ""],
        ["", "", ""],
    ]


def test_an_uncertain_pose_marks_all_landmarks_for_review(tmp_path):
    arrays = (np.ones(2), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    bars = ErrorBars(Calibration(ConformalSettings(), ("tip", "base"), 9, *arrays), None)
    with landmark_table(tmp_path / "landmarks.csv", ("tip", "base"), bars, True) as add:
        add(replace(volume(), pose=ReviewedPose(2.0, 0.0, True)))
    rows = (tmp_path / "landmarks.csv").read_text("utf-8").splitlines()[1:]
    assert [row.split(",")[-5] for row in rows] == ["yes", "yes"]


def test_what_failed_has_a_row_each_by_hand(tmp_path):
    path = tmp_path / "failed.csv"
    with failed_table(path) as add:
        pass
    assert path.read_text("utf-8") == "volume,file,reason\n"
    with failed_table(path) as add:
        add(Failed("=a", "in/=a.nii", "in/=a.nii: is no image, but text"))
    assert path.read_text("utf-8").splitlines()[1:] == [
        '\'=a,in/=a.nii,"in/=a.nii: is no image, but text"'
    ]

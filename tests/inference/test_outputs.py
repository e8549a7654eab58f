from pathlib import Path

import numpy as np
import pytest

from pin_lightning.evaluation.conformal import Calibration, ConformalSettings
from pin_lightning.inference.outputs import landmark_table
from pin_lightning.runs.doubts import Reviewed
from pin_lightning.runs.error_bars import ErrorBars

HEADER = "volume,file,landmark,frame,x,y,z,spread_mm,seconds"


def volume(name="a, b"):
    positions, spread = np.array([[1.0, -2.00004, 3], [np.nan, 0, 0]]), np.array([0.5, 2.0])
    return Reviewed(name, Path("in/a.nii"), positions, spread, None, np.array([False, True]), 0.25)


def test_a_row_for_each_landmark_by_hand(tmp_path):
    with landmark_table(tmp_path / "landmarks.csv", ("tip", "base"), None) as add:
        add(volume())
        assert not (tmp_path / "landmarks.csv").exists()
    assert (tmp_path / "landmarks.csv").read_text("utf-8").splitlines() == [
        HEADER,
        '"a, b",in/a.nii,tip,RAS,1.0000,-2.0000,3.0000,0.5000,0.250',
        '"a, b",in/a.nii,base,RAS,nan,0.0000,0.0000,2.0000,0.250',
    ]


def test_error_bars_have_columns_of_their_own(tmp_path):
    arrays = (np.ones(2), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    bars = ErrorBars(Calibration(ConformalSettings(), ("tip", "base"), 9, *arrays), None)
    with landmark_table(tmp_path / "landmarks.csv", ("tip", "base"), bars) as add:
        add(volume())
    header, *rows = (tmp_path / "landmarks.csv").read_text("utf-8").splitlines()
    assert header == f"{HEADER},coverage,radius_mm,review"
    # A factor times the usual error or the spread, whichever is more; what lies outside is marked.
    assert [row.split(",")[-3:] for row in rows] == [
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

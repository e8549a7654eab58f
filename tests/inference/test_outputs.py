import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from inference.headers import header_of

from pin_lightning.common.alignment import Pose
from pin_lightning.common.geometry import Grid
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.preprocessing import WorkingVolume
from pin_lightning.data.volume_facts import VolumeFacts
from pin_lightning.inference.outputs import VolumeOutputs
from pin_lightning.method.pose.finder import FoundPose
from pin_lightning.method.trajectory import Trajectory
from pin_lightning.runs.locator import Located
from pin_lightning.runs.predictor import Localised, Prediction

GRID = Grid((2, 2, 2), 1.0)  # far shorter than the volume, whose field of view may be any


def localised(uncertain):
    """Three landmarks: one within the scan, one near its border, one outside."""
    pose = FoundPose(Pose(np.eye(3), np.zeros(3)), 0.5, 1.75)
    positions = np.array([[1.0, 2, 3], [4, 5, 6], [70, 8, 9]])
    paths = (torch.zeros(1, 1, 1, 3, 3), torch.zeros(1, 1, dtype=torch.long))
    prediction = Prediction(
        names=("tip", "side", "base"),
        positions_world=positions,
        spread_mm=np.array([0.5, 0.5, 2.0]),
        mean_shape_world=positions,
        seconds=0.25,
        localise_seconds=0.1,
        trajectory=Trajectory(*paths, torch.zeros(1, 3, 3), *[torch.zeros(1, 3)] * 2),
        outside=np.array([False, False, True]),
        near_border=np.array([False, True, False]),
        pose=Located(np.eye(4), pose, uncertain, 0.1),
    )
    facts = VolumeFacts(0.0, 1.0, "0" * 16)
    volume = WorkingVolume(torch.zeros(2, 2, 2, dtype=torch.uint8), np.eye(4), GRID, facts)
    return Localised(prediction, volume, ((9, 9, 9), np.eye(4)), None)


def write(folder, form, uncertain):
    outputs = VolumeOutputs(folder, header_of(format=form, grid=GRID), (), slices=False)
    return outputs.write("a", "a.nii", localised(uncertain))


@pytest.mark.parametrize("form", ["mrk.json", "fcsv"])
def test_a_landmark_outside_the_scan_is_written_as_missing(tmp_path, form, caplog):
    reviewed = write(tmp_path, form, uncertain=False)
    np.testing.assert_array_equal(reviewed.marked, [False, True, True])
    again = read_landmarks(tmp_path / f"a.{form}")
    np.testing.assert_allclose(again.positions_world[:2], [[1, 2, 3], [4, 5, 6]])
    assert again.defined.tolist() == [True, True, False]
    assert caplog.messages == ["a: outside the scan: base"]
    text = (tmp_path / f"a.{form}").read_text("utf-8")
    if form == "fcsv":
        assert [line[-1] for line in text.splitlines()[3:]] == ["2", "2", "3"]
        return
    points = json.loads(text)["markups"][0]["controlPoints"]
    assert [one["positionStatus"] for one in points] == ["defined", "defined", "missing"]
    assert [one["description"] for one in points] == [
        "spread over starts 0.50 mm",
        "near the border of the scan, spread over starts 0.50 mm",
        "outside the scan, spread over starts 2.00 mm",
    ]


def test_an_uncertain_pose_is_said_in_the_log_and_with_each_landmark(tmp_path, caplog):
    reviewed = write(tmp_path, "mrk.json", uncertain=True)
    assert reviewed.marked.all()
    assert caplog.messages[0] == "a: pose uncertain (score 0.50, lead 1.25)"
    points = json.loads((tmp_path / "a.mrk.json").read_text("utf-8"))["markups"][0]["controlPoints"]
    assert all(one["description"].startswith("pose uncertain, ") for one in points)


def test_a_volume_unlike_the_training_is_said_with_each_landmark(tmp_path):
    found = localised(uncertain=False)
    remarks = ("contrast: other shares of grey values", "texture: rougher")
    found = replace(found, prediction=replace(found.prediction, remarks=remarks))
    outputs = VolumeOutputs(tmp_path, header_of(grid=GRID), (), slices=False)
    outputs.write("a", "a.nii", found)
    points = json.loads((tmp_path / "a.mrk.json").read_text("utf-8"))["markups"][0]["controlPoints"]
    assert all("unlike the training (contrast, texture), " in one["description"] for one in points)

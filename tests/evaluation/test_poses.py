import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import Pose
from pin_lightning.data.anatomy import Anatomy
from pin_lightning.evaluation.poses import PoseResult, pose_metrics, read_poses, write_poses
from pin_lightning.method.pose.finder import FoundPose

# A cross of arms 10, 20 and 30 mm, whose extent is 60 mm.
ARMS = np.diag([10.0, 20, 30])
ANATOMY = Anatomy(tuple("abcdef"), np.concatenate([ARMS, -ARMS]))


def turned(degrees, shift_mm=(0.0, 0, 0)):
    rotation = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    return Pose(rotation, np.array(shift_mm))


def result(found, true, score=0.5, second=2.0, uncertain=False):
    return PoseResult.of("a", FoundPose(found, score, second), true, ANATOMY, uncertain, 0.25)


def test_errors_by_hand():
    one = result(turned(30, (1.0, 2, 3)), turned(20, (4.0, 2, 7)))
    assert one.rotation_degrees == pytest.approx(10)
    # Opposite arms are off by 5 mm plus and minus the way the rotation moves them.
    moved = turned(30).place(ANATOMY.reference_mm) - turned(20).place(ANATOMY.reference_mm)
    expected = np.linalg.norm(moved - [3, 0, 4], axis=1).mean()
    assert one.position_mm == pytest.approx(expected)
    assert (one.right, one.score, one.lead, one.seconds) == (True, 0.5, 1.5, 0.25)
    assert result(turned(0, (3.0, 4, 0)), turned(0)).position_mm == pytest.approx(5)


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (turned(24), True),
        (turned(26), False),
        (turned(0, (7.1, 0, 0)), True),
        (turned(0, (7.3, 0, 0)), False),
        (turned(180), False),
    ],
)
def test_right_is_within_25_degrees_and_12_percent_of_the_extent(found, right):
    assert result(found, turned(0)).right is right


def test_what_is_not_annotated_is_neither_right_nor_wrong():
    one = result(turned(3), None)
    assert math.isnan(one.rotation_degrees)
    assert math.isnan(one.position_mm)
    assert one.right is None
    assert ANATOMY.known_pose_of(np.full((6, 3), np.nan)) is None
    numbers = pose_metrics([one])["poses"]
    assert (numbers["n"], numbers["known"], numbers["right"]) == (1, 0, 0)
    assert numbers["rotation_degrees"] == {"median": None, "largest": None}


def test_metrics_by_hand():
    near, far = turned(2, (1.0, 0, 0)), turned(180)
    poses = [
        result(near, turned(0)),
        result(near, turned(0), uncertain=True),
        result(far, turned(0)),
        result(far, turned(0), uncertain=True),
        result(far, None),
    ]
    numbers = pose_metrics(poses)["poses"]
    assert {key: numbers[key] for key in ("n", "known", "right", "uncertain")} == {
        "n": 5,
        "known": 4,
        "right": 2,
        "uncertain": 2,
    }
    assert numbers["wrong_and_sure"] == 1
    assert numbers["rotation_degrees"]["median"] == pytest.approx(91)
    assert numbers["rotation_degrees"]["largest"] == pytest.approx(180)
    assert numbers["seconds"] == 0.25
    assert pose_metrics([]) == {}


def test_a_file_comes_back_to_the_last_digit(tmp_path):
    poses = {
        "val": [result(turned(1 / 3), turned(0)), result(turned(0), turned(0), second=math.inf)],
        "test": [result(turned(90), turned(0), uncertain=True), result(turned(5), None)],
    }
    path = tmp_path / "poses.csv"
    write_poses(path, poses)
    again = read_poses(path)
    assert repr(again) == repr(poses)
    assert path.read_text("utf-8").splitlines()[2] == "val,a,0.0,0.0,0.5,,no,yes,0.25"


def test_a_run_without_poses_has_no_file(tmp_path):
    write_poses(tmp_path / "poses.csv", {"test": []})
    assert list(tmp_path.iterdir()) == []
    assert read_poses(tmp_path / "poses.csv") == {}

"""Landmarks of the server as point lists of 3D Slicer, and back."""

import ast
import json

import numpy as np
import pytest
from slicer_storage import SCENE, in_scene, resaved_by_slicer

from conftest import REPOSITORY
from pin_lightning.annotation.points import Point, points_of
from pin_lightning.data.landmarks.files import read_landmarks
from PINLandmarksLib.points import landmarks_of, markups_of

MODULE = REPOSITORY / "slicer" / "PINLandmarks"
NAMES = ["nose", "L, upper", 'say "ä"', "gone", "later"]
LANDMARKS = [
    {"name": "nose", "position": [1.25, -2.0, 3.0], "missing": False, "radius_mm": 0.314},
    {"name": "L, upper", "position": [0.1, 0.2, -0.3], "missing": False, "reason": "near"},
    {"name": 'say "ä"', "position": [0.0, -7.0, 1e-7], "missing": False, "radius_mm": None},
    {"name": "gone", "position": None, "missing": True, "reason": ""},
    {"name": "later", "position": None, "missing": False},
]
VOLUME = {"id": "1", "name": "ANNA, 2", "landmarks": LANDMARKS}
KEPT = [{key: one[key] for key in ("name", "position", "missing")} for one in LANDMARKS]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one["name"], one["missing"]) == (other["name"], other["missing"])
        assert (one["position"] is None) == (other["position"] is None)
        if one["position"]:
            np.testing.assert_allclose(one["position"], other["position"], rtol=1e-15)


def test_point_lists_are_read_as_everywhere_else(tmp_path):
    path = tmp_path / "points.mrk.json"
    path.write_text(json.dumps(markups_of(VOLUME)), "utf-8")
    points = points_of(read_landmarks(path), missing=["gone"])
    assert points["nose"] == Point((1.25, -2.0, 3.0))
    assert (points["gone"], points["later"]) == (Point(missing=True), Point())
    texts = [one["description"] for one in markups_of(VOLUME)["markups"][0]["controlPoints"]]
    assert texts == ["within 0.31 mm", "near", "", "", ""]
    assert landmarks_of(markups_of(VOLUME), NAMES) == KEPT


def test_what_slicer_saves_is_read(tmp_path):
    own, again = tmp_path / "own.mrk.json", tmp_path / "again.mrk.json"
    own.write_text(json.dumps(markups_of(VOLUME)), "utf-8")
    shown = resaved_by_slicer(own, again)
    statuses = ["defined", "defined", "defined", "missing", "undefined"]
    assert [point["status"] for point in shown] == statuses
    assert_same(landmarks_of(json.loads(again.read_text("utf-8")), NAMES), KEPT)


def test_points_go_through_a_scene_of_slicer():
    """The module's own code for nodes, run by Slicer's classes: move, miss, place anew."""
    changes = {"move": {"0": [9.5, 8, 7]}, "miss": [1], "take": [2], "names": NAMES}
    kept, changed = in_scene(VOLUME, changes)
    assert_same(kept, KEPT)
    moved = {**KEPT[0], "position": [9.5, 8.0, 7.0]}
    missing = {**KEPT[1], "position": None, "missing": True}
    assert_same(changed, [moved, missing, {**KEPT[2], "position": None}, *KEPT[3:]])


def content(*points, system="LPS"):
    markup = {"type": "Fiducial", "coordinateSystem": system, "controlPoints": list(points)}
    return {"markups": [markup]}


def point(label="nose", position=(1, 2, 3), **other):
    return {"label": label, "position": list(position), **other}


def test_frames_and_statuses_are_those_of_the_file():
    (found,) = landmarks_of(content(point(), system="RAS"), ["nose"])
    assert found["position"] == [1.0, 2.0, 3.0]
    (found,) = landmarks_of(content(point(positionStatus="preview")), ["nose"])
    assert (found["position"], found["missing"]) == (None, False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (content(point("nose-1")), "'nose-1': no landmark"),
        (content(point(), point()), "'nose': occurs twice"),
        (content(point(position=(1, 2))), "'nose': has position"),
        (content(point(position=(1, 2, float("nan")))), "'nose': has position"),
        (content(point(), system="IJK"), "coordinateSystem=IJK"),
    ],
)
def test_points_that_are_no_landmarks_are_refused(value, said):
    with pytest.raises(ValueError, match=said):
        landmarks_of(value, ["nose", "chin"])


def test_the_module_is_written_for_the_python_of_slicer():
    files = [MODULE / "PINLandmarks.py", *(MODULE / "PINLandmarksLib").glob("*.py")]
    for file in files:
        ast.parse(file.read_text("utf-8"), feature_version=(3, 9))
    assert len(files[0].read_text("utf-8").splitlines()) <= 300
    assert SCENE in files

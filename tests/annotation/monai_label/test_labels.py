"""Labels that clients send and get."""

import json

import numpy as np
import pytest

from pin_lightning.annotation.monai_label.labels import label_text, read_label
from pin_lightning.annotation.points import Point
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks

POINTS = {"nose": Point((1.25, -2.0, 3.0)), "gone": Point(missing=True), "later": Point()}


@pytest.mark.parametrize("name", ["tmp1.mrk.json", "C:\\x\\LABEL.JSON", "../../a.json"])
def test_what_is_given_is_read(name):
    assert read_label(name, label_text(POINTS).encode()) == POINTS


def test_descriptions_are_those_of_the_points():
    said = json.loads(label_text(POINTS, {"nose": "within 0.31 mm"}))["markups"][0]["controlPoints"]
    assert [one["description"] for one in said] == ["within 0.31 mm", "", ""]


def test_fcsv_is_read(tmp_path):
    path = tmp_path / "a.fcsv"
    write_landmarks(path, LandmarkSet.of(["nose", "gone"], np.array([[1.25, -2, 3], [np.nan] * 3])))
    found = read_label("a.fcsv", path.read_bytes())
    assert found == {"nose": POINTS["nose"], "gone": Point()}


def markups(kind, points=()):
    markup = {"type": kind, "coordinateSystem": "LPS", "controlPoints": list(points)}
    return json.dumps({"markups": [markup]}).encode()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        # MONAI Label's module for 3D Slicer sends the boxes of a scene, never its points.
        ("a.json", b'{"@schema": "", "markups": []}', "label.json: has no markups"),
        ("a.json", markups("ROI"), "markups of type 'ROI'"),
        ("a.json", markups("Fiducial"), "its point list is empty"),
        ("a.json", markups("Fiducial", [{"label": "a"}]), "has position None"),
        ("a.json", b"\xff", "not UTF-8"),
        ("a.json", b"", "empty"),
        ("a.fcsv", b"# CoordinateSystem = LPS\n1,2\n", "label.fcsv: line 2"),
        ("a.nii.gz", b"\x1f\x8b", "is not a point list"),
        ("", b"{}", "is not a point list"),
    ],
)
def test_other_files_are_refused(name, content, said):
    with pytest.raises(ValueError, match=said) as raised:
        read_label(name, content)
    assert "/" not in str(raised.value)

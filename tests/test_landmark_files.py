import json

import numpy as np
import pytest

from pin_lightning.landmark_files import read_landmarks, read_markups, write_markups
from pin_lightning.landmarks import LandmarkSet


def point(label="nose", position=(1.0, 2.0, 3.0), **other):
    return {"id": "1", "label": label, "position": list(position), **other}


def content(points=None, **other):
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points or [point()]}
    return {"@schema": "", "markups": [{**markup, **other}]}


@pytest.fixture
def save(tmp_path):
    def write(value):
        path = tmp_path / "case.mrk.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return path

    return write


@pytest.mark.parametrize("system", ["LPS", "1", 1])
def test_lps_is_flipped(save, system):
    landmarks = read_markups(save(content(coordinateSystem=system)))
    assert landmarks.positions_world.tolist() == [[-1, -2, 3]]


@pytest.mark.parametrize("system", ["RAS", "0", 0])
def test_ras_is_kept(save, system):
    landmarks = read_markups(save(content(coordinateSystem=system)))
    assert landmarks.positions_world.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("status", ["undefined", "missing", "preview"])
def test_only_points_with_status_defined_count(save, status):
    # Slicer writes an empty text as the position of a point that was never placed.
    unplaced = {**point("b"), "position": "", "positionStatus": status}
    points = [point("a", positionStatus="defined"), unplaced, point("c")]
    landmarks = read_markups(save(content(points)))
    assert landmarks.names == ("a", "b", "c")
    assert landmarks.defined.tolist() == [True, False, True]


def test_round_trip_keeps_names_positions_and_what_is_undefined(tmp_path):
    names = ["Nasenflügel", "左眼", "tip"]
    positions = np.array([[1.25, -2.5, 1 / 3], [np.nan] * 3, [-1e3, 0, 7]])
    path = tmp_path / "new" / "case.mrk.json"
    write_markups(path, LandmarkSet.of(names, positions), ["first", "", "third"])
    again = read_markups(path)
    assert again.names == tuple(names)
    assert again.defined.tolist() == [True, False, True]
    np.testing.assert_array_equal(again.positions_world, positions)
    assert [file.name for file in path.parent.iterdir()] == ["case.mrk.json"]


def test_written_file_is_what_slicer_expects(tmp_path):
    path = tmp_path / "case.mrk.json"
    write_markups(path, LandmarkSet.of(["a"], np.array([[1.0, 2, 3]])), ["spread 0.2 mm"])
    written = json.loads(path.read_text("utf-8"))
    assert written["@schema"].endswith("/markups-schema-v1.0.3.json#")
    (markup,) = written["markups"]
    assert (markup["type"], markup["coordinateSystem"]) == ("Fiducial", "LPS")
    assert markup["coordinateUnits"] == "mm"
    assert markup["controlPoints"] == [
        {
            "id": "1",
            "label": "a",
            "description": "spread 0.2 mm",
            "position": [-1.0, -2.0, 3.0],
            "positionStatus": "defined",
        }
    ]


def test_written_file_has_no_nan_which_is_not_json(tmp_path):
    path = tmp_path / "case.mrk.json"
    write_markups(path, LandmarkSet.of(["a"], np.full((1, 3), np.nan)))
    (written,) = json.loads(path.read_text("utf-8"))["markups"][0]["controlPoints"]
    assert written["positionStatus"] == "undefined"
    assert "position" not in written


def test_as_many_descriptions_as_landmarks(tmp_path):
    path = tmp_path / "case.mrk.json"
    with pytest.raises(ValueError, match="2 descriptions for 1 landmarks"):
        write_markups(path, LandmarkSet.of(["a"], np.zeros((1, 3))), ["x", "y"])
    assert not path.exists()


INVALID = {
    "json": ("{", "not valid JSON"),
    "no-markups": ({}, "has no markups"),
    "not-an-object": ([], "has no markups"),
    "empty-markups": ({"markups": []}, "has no markups"),
    "two-lists": ({"markups": content()["markups"] * 2}, "holds 2 markups"),
    "curve": (content(type="Curve"), "type 'Curve'"),
    "no-points": ({"markups": [{**content()["markups"][0], "controlPoints": []}]}, "empty"),
    "point-not-object": (content([3]), "not a JSON object"),
    "system-absent": (content(coordinateSystem=None), "coordinateSystem is None"),
    "system-unknown": (content(coordinateSystem="IJK"), "coordinateSystem is 'IJK'"),
    "units": (content(coordinateUnits="um"), "coordinateUnits is 'um'"),
    "two-coordinates": (content([point(position=(1, 2))]), "'nose' has position"),
    "no-position": (content([{"label": "nose"}]), "'nose' has position None"),
    "text": (content([point(position=("1", 2, 3))]), "finite numbers"),
    "nan": (content([point(position=(float("nan"), 2, 3))]), "finite numbers"),
    "infinite": (content([point(position=(float("inf"), 2, 3))]), "finite numbers"),
    "same-label": (content([point("a"), point("b"), point("a")]), "occur twice: a;"),
    "no-label": (content([point("a"), {"position": [1, 2, 3]}]), "control point 2 has no label"),
    "blank-label": (content([point("  ")]), "control point 1 has no label"),
}


@pytest.mark.parametrize(("value", "message"), INVALID.values(), ids=INVALID.keys())
def test_invalid_files_are_refused_in_one_line_that_names_them(save, value, message):
    path = save(value)
    with pytest.raises(ValueError, match=message) as caught:
        read_markups(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_units_may_be_a_coded_entry(save):
    units = ["mm", "UCUM", "millimeter"]
    assert len(read_markups(save(content(coordinateUnits=units)))) == 1


def test_absent_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_landmarks(tmp_path / "absent.mrk.json")


def test_read_landmarks_goes_by_the_suffix(save, tmp_path):
    assert read_landmarks(save(content())).names == ("nose",)
    with pytest.raises(ValueError, match=r"points\.xlsx.*\.mrk\.json"):
        read_landmarks(tmp_path / "points.xlsx")

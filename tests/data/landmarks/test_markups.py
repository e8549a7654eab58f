import json

import numpy as np
import pytest
from refusals import refused
from shared_cases import shared_case

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.markups import read_markups, write_markups


def point(label="nose", position=(1.0, 2.0, 3.0), **other):
    return {"id": "1", "label": label, "position": list(position), **other}


def content(points=None, **other):
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points or [point()]}
    return {"@schema": "", "markups": [{**markup, **other}]}


SYSTEMS = [("LPS", "LPS"), ("1", "LPS"), (1, "LPS"), ("RAS", "RAS"), ("0", "RAS"), (0, "RAS")]


@pytest.mark.parametrize(("system", "frame"), [*SYSTEMS, (None, None), ("absent", None)])
def test_positions_and_frame_are_those_of_the_file(save, system, frame):
    value = content(coordinateSystem=system, coordinateUnits=["mm", "UCUM", "millimeter"])
    if system == "absent":
        del value["markups"][0]["coordinateSystem"]
    framed = read_markups(save(json.dumps(value)))
    assert framed.frame == frame
    assert framed.positions.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("status", ["undefined", "missing", "preview"])
def test_only_points_with_status_defined_count(save, status):
    # Slicer writes an empty text as the position of a point that was never placed.
    unplaced = {**point("b"), "position": "", "positionStatus": status}
    points = [point("a", positionStatus="defined"), unplaced, point("c")]
    framed = read_markups(save(json.dumps(content(points))))
    assert framed.names == ("a", "b", "c")
    assert np.isnan(framed.positions).all(axis=1).tolist() == [False, True, False]


def test_written_file_is_what_slicer_expects(tmp_path):
    path = tmp_path / "new folder" / "case.mrk.json"
    landmarks = LandmarkSet.of(["a", "b"], np.array([[1.0, 2, 3], [np.nan] * 3]))
    write_markups(path, landmarks, ["spread 0.2 mm", ""])
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
        },
        {"id": "2", "label": "b", "description": "", "positionStatus": "undefined"},
    ]
    assert [file.name for file in path.parent.iterdir()] == ["case.mrk.json"]


INVALID = {
    "json": ("{", "not valid JSON"),
    "too-deep": ("[" * 100_000, "not valid JSON"),
    "huge-number": ('{"markups": ' + "9" * 5000 + "}", "a number that is too large; correct it"),
    "no-markups": ({}, "has no markups"),
    "not-an-object": ([], "has no markups"),
    "empty-markups": ({"markups": []}, "has no markups"),
    "two-lists": ({"markups": content()["markups"] * 2}, "holds 2 markups"),
    "curve": (content(type="Curve"), "type 'Curve'"),
    "no-points": ({"markups": [{**content()["markups"][0], "controlPoints": []}]}, "empty"),
    "point-not-object": (content([3]), "not a JSON object"),
    "system-unknown": (content(coordinateSystem="IJK"), "coordinateSystem is 'IJK'"),
    "micrometres": (content(coordinateUnits="um"), "coordinateUnits is 'um'; save it in mm"),
    "centimetres": (content(coordinateUnits=["cm", "UCUM", "cm"]), "coordinateUnits is"),
    "two-coordinates": (content([point(position=(1, 2))]), "'nose' has position"),
    "no-position": (content([{"label": "nose"}]), "'nose' has position None"),
    "text": (content([point(position=("1", 2, 3))]), "finite numbers"),
    "nan": (content([point(position=(float("nan"), 2, 3))]), "finite numbers"),
    "infinite": (content([point(position=(float("inf"), 2, 3))]), "finite numbers"),
    "beyond-float": (content([point(position=(10**400, 2, 3))]), "finite numbers"),
    "status": (content([point(positionStatus="placed")]), "positionStatus 'placed'"),
    "same-label": (content([point("a"), point("b"), point("a")]), "occur twice: a;"),
    "no-label": (content([point("a"), {"position": [1, 2, 3]}]), "point 2 has no label"),
    "blank-label": (content([point("  ")]), "landmark 1 has no label"),
}


@pytest.mark.parametrize(("value", "message"), INVALID.values(), ids=INVALID)
def test_invalid_files_are_refused(save, value, message):
    path = save(value if isinstance(value, str) else json.dumps(value))
    with refused(path, message):
        read_markups(path)


def test_a_preview_is_named(save, caplog):
    points = [point("a", positionStatus="preview"), point("b", positionStatus="undefined"), point()]
    path = save(json.dumps(content(points)), "case.mrk.json")
    assert np.isfinite(read_markups(path).positions).all(axis=1).tolist() == [False, False, True]
    (record,) = caplog.records
    said = f"{path}: 1 landmarks with the status 'preview' count as missing: a;"
    assert record.getMessage().startswith(said)


def test_previews_are_named(caplog):
    """In the shared case seven landmarks of BERT were saved before they were placed."""
    path = shared_case("lm_preview") / "landmarks" / "BERT.mrk.json"
    framed = read_markups(path)
    defined = np.isfinite(framed.positions).all(axis=1)
    assert dict(zip(framed.names, defined, strict=True))["L19"]
    assert defined.sum() == 1
    (record,) = caplog.records
    assert "7 landmarks with the status 'preview' count as missing: L1, L7, " in record.getMessage()

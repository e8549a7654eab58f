"""3D Slicer's own storage code reads what is written here, and what it writes is read here."""

import numpy as np
import pytest
from inference.headers import header_of
from inference.test_outputs import localised
from slicer_storage import read_by_slicer, resaved_by_slicer, write_by_slicer

from pin_lightning.common.geometry import Grid
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
from pin_lightning.data.sources.phantom import phantom_cases
from pin_lightning.inference.outputs import VolumeOutputs

NAMES = ("nose", "L, upper", 'say "ah"', "Schädel µ", "gone", "semi;colon", "#1", "-0.5", "北")
NOTES = ("90 % within 0.31 mm, spread", 'has "quotes", commas', "", "ä", "outside the scan")
NOTES += ("# no comment", "<b>bold</b>", "a\\b", "'")
POSITIONS = np.array([[1.25, -2, 3], [0.1, 0.2, 0.3], [4, 5, 6], [1e-7, -123.456789012345, 7]])
POSITIONS = np.vstack([POSITIONS, [[np.nan] * 3], np.arange(12).reshape(4, 3) / 7 - 1e3])
LANDMARKS = LandmarkSet.of(NAMES, POSITIONS)
FORMATS = ("mrk.json", "fcsv")


@pytest.mark.parametrize("absent", ["undefined", "missing"])
def test_slicer_reads_what_is_written(tmp_path, absent):
    paths = [tmp_path / f"case.{form}" for form in FORMATS]
    for path in paths:
        write_landmarks(path, LANDMARKS, NOTES, absent)
    for points in read_by_slicer(*paths):
        assert [point["label"] for point in points] == list(NAMES)
        assert [point["description"] for point in points] == list(NOTES)
        defined = [point["status"] == "defined" for point in points]
        assert defined == LANDMARKS.defined.tolist()
        assert points[4]["status"] == absent
        shown = np.array([point["position"] for point in points])[defined]
        # Slicer's parser of numbers errs by one unit of the last place.
        np.testing.assert_allclose(shown, POSITIONS[defined], rtol=1e-15)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_slicer_saves_again_is_the_same(tmp_path, form):
    own, again = tmp_path / f"own.{form}", [tmp_path / f"again.{form}" for form in FORMATS]
    write_landmarks(own, LANDMARKS, NOTES, "missing")
    resaved_by_slicer(own, *again)
    for path in again:
        read = read_landmarks(path)
        assert read.names == NAMES
        np.testing.assert_allclose(read.positions_world, POSITIONS, rtol=1e-12, equal_nan=True)


def test_points_placed_in_slicer_are_read(tmp_path):
    points = [
        {"label": "a, b", "description": 'the "tip"', "position": [-12.5, 30.25, 7]},
        {"label": "c", "position": [1, 2, 3], "status": "undefined"},
        {"label": "d", "position": [1, 2, 3], "status": "missing"},
    ]
    paths = [tmp_path / f"case.{form}" for form in FORMATS]
    shown = write_by_slicer(points, *paths)
    assert [point["status"] for point in shown] == ["defined", "undefined", "missing"]
    for path in paths:
        read = read_landmarks(path)
        assert read.names == ("a, b", "c", "d")
        assert read.defined.tolist() == [True, False, False]
        assert read.positions_world[0].tolist() == [-12.5, 30.25, 7]


def test_slicer_reads_predictions_and_phantoms(tmp_path):
    """Files of the programs, by their own writers: with radii, remarks and points outside."""
    for form in FORMATS:
        header = header_of(format=form, grid=Grid((2, 2, 2), 1.0))
        VolumeOutputs(tmp_path, header, (), slices=False).write("a", "a.nii", localised(True))
    phantom_cases(
        tmp_path / "heads", num_cases=1, size=(24, 16, 20), spacing_mm=(6.0, 6.0, 6.0), seed=0
    )
    paths = [
        *(tmp_path / f"a.{form}" for form in FORMATS),
        *tmp_path.glob("heads/landmarks/*.mrk.json"),
    ]
    read = read_by_slicer(*paths)
    assert len(read) == 3
    for path, points in zip(paths, read, strict=True):
        own = read_landmarks(path)
        assert own.names == tuple(point["label"] for point in points)
        shown = [p["position"] if p["status"] == "defined" else [np.nan] * 3 for p in points]
        np.testing.assert_allclose(shown, own.positions_world, rtol=1e-15)
    assert [point["status"] for point in read[0]] == ["defined", "defined", "missing"]
    assert all("spread over starts" in point["description"] for point in [*read[0], *read[1]])

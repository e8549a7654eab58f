import json

import numpy as np
from reports.figures.test_plots import SIZE, SPACING_MM, UNKNOWN, names_of, volume
from reports.figures.test_trajectory_plots import straight_paths

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.figures.trajectory_3d import trajectory_3d, write_trajectory_3d

GRID = Grid(SIZE, SPACING_MM)


def places(trace):
    columns = [[np.nan if one is None else one for one in trace[axis]] for axis in "xyz"]
    return np.array(columns, dtype=float).T


def figure_of(truth, paths, names):
    return trajectory_3d(volume(), SPACING_MM, paths, truth, names).to_dict()


def test_one_line_for_each_start_with_gaps_between_landmarks():
    end, paths = straight_paths(2)
    figure = figure_of(end, paths, names_of(2))
    lines = [trace for trace in figure["data"] if trace.get("mode") == "lines"]
    assert len(lines) == 3
    drawn = places(lines[1])
    assert np.isnan(drawn[[5, 11]]).all()
    expected = GRID.ijk_to_mm(paths[:, 1])
    np.testing.assert_allclose(drawn[:5], expected[:, 0], atol=0.0006)
    np.testing.assert_allclose(drawn[6:11], expected[:, 1], atol=0.0006)
    assert figure["layout"]["scene"]["aspectmode"] == "data"


def test_true_and_predicted_landmarks_with_names_and_errors():
    end, paths = straight_paths(3)
    truth = end.copy()
    truth[1] = np.nan
    figure = figure_of(truth, paths, names_of(3))
    by_name = {trace.get("name"): trace for trace in figure["data"]}
    np.testing.assert_allclose(places(by_name["true"]), GRID.ijk_to_mm(end[[0, 2]]), atol=0.0006)
    assert list(by_name["true"]["text"]) == ["mark $0", "mark $2"]
    predicted = paths[-1].mean(axis=0)
    error_mm = np.linalg.norm(predicted - end, axis=-1)[0] * SPACING_MM
    np.testing.assert_allclose(places(by_name["predicted"]), GRID.ijk_to_mm(predicted), atol=0.0006)
    words = list(by_name["predicted"]["text"])
    assert words[:2] == [f"mark $0<br>{error_mm:.2f} mm off", "mark $1"]


def test_frames_move_the_starts_and_the_slider_names_them():
    end, paths = straight_paths(2)
    figure = figure_of(end, paths, names_of(2))
    assert [frame["name"] for frame in figure["frames"]] == list("01234")
    (slider,) = figure["layout"]["sliders"]
    assert [step["args"][0] for step in slider["steps"]] == [[name] for name in "01234"]
    frame = figure["frames"][1]
    assert list(frame["traces"]) == [0, 1, 2]
    moved = frame["data"][2]
    np.testing.assert_allclose(places(moved), GRID.ijk_to_mm(paths[1, 2]), atol=0.0006)
    errors = np.linalg.norm(paths[1, 2] - end, axis=-1) * SPACING_MM
    np.testing.assert_allclose(moved["customdata"], errors, atol=0.0006)
    dots = figure["data"][2]
    assert dots["legendgroup"] == figure["data"][5]["legendgroup"] == "start 3"  # toggled together


def test_the_slice_shows_the_voxels_where_they_are():
    end, paths = straight_paths(2)
    trace = figure_of(end, paths, names_of(2))["data"][-1]
    x, y = (GRID.mm_to_ijk(np.array(trace[axis])[:, None])[:, "xy".index(axis)] for axis in "xy")
    grey = np.array(trace["surfacecolor"])
    assert grey.shape == (len(y), len(x))
    np.testing.assert_array_equal(grey[:, np.flatnonzero(np.abs(x - 12) < 0.01)], 200)
    np.testing.assert_array_equal(grey[np.abs(y - 7) < 0.01][0, np.abs(x - 12) > 0.5], 100)
    height = GRID.ijk_to_mm(paths[-1].mean(axis=(0, 1)))[2]
    np.testing.assert_allclose(trace["z"], height, atol=0.0006)


def test_without_truth_there_are_no_errors():
    _, paths = straight_paths(2)
    figure = figure_of(UNKNOWN[:2], paths, names_of(2))
    names = [trace.get("name") for trace in figure["data"]]
    assert "true" not in names
    assert figure["data"][0]["hovertemplate"] == "%{text}"
    figure = figure_of(UNKNOWN[:2], paths + 100, names_of(2))  # outside the volume
    assert np.array(figure["data"][-1]["surfacecolor"]).size > 0


def test_json_of_many_landmarks_and_iterations_is_small(tmp_path):
    end, paths = straight_paths(45, steps=350, starts=6)
    path = tmp_path / "figures" / "starts.json"
    write_trajectory_3d(path, trajectory_3d(volume(), SPACING_MM, paths, end, names_of(45)))
    assert path.stat().st_size < 600_000
    content = json.loads(path.read_text("utf-8"))
    assert set(content) == {"data", "layout", "frames"}
    assert len(content["frames"]) == 30
    assert content["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert [entry.name for entry in path.parent.iterdir()] == ["starts.json"]


def test_one_start_is_the_prediction_and_others_are_left_behind():
    end, paths = straight_paths(2)
    paths[2:, 0] = np.nan
    figure = trajectory_3d(volume(), SPACING_MM, paths, end, names_of(2), best=1).to_dict()
    by_name = {trace.get("name"): trace for trace in figure["data"]}
    assert {"start 1", "found", "start 3"} <= set(by_name)
    expected = GRID.ijk_to_mm(paths[-1, 1])
    np.testing.assert_allclose(places(by_name["predicted"]), expected, atol=0.0006)
    np.testing.assert_allclose(places(by_name["found"]), expected, atol=0.0006)
    assert np.isnan(places(by_name["start 1"])).all()
    slice_z = np.unique(by_name["slice"]["z"])
    np.testing.assert_allclose(slice_z, expected.mean(axis=0)[2], atol=0.006)

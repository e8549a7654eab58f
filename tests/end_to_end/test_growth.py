"""What methods cost as work grows: `benchmarks/growth.py`."""

import json
import sys

import pytest
from beside.cell import Cell, Cost
from beside.figure import growth_figure
from programs import run


def test_grids_have_the_same_extent():
    grids = [Cell("heatmap", 10, side).grid for side in (1, 2, 4)]
    assert [one.size for one in grids] == [(54, 35, 47), (108, 70, 94), (216, 140, 188)]
    assert [one.spacing_mm * one.size[0] for one in grids] == [162, 162, 162]


def test_lines_end_where_a_method_does():
    costs = {
        Cell("heatmap", 10, 1): Cost(1.0, 0.5, 2.0),
        Cell("heatmap", 45, 1): Cost(1.0, 2.0, 8.0),
        Cell("heatmap", 10, 2): Cost(16.0, ended="over 16 GB"),
        Cell("agent", 10, 1): Cost(1.0, 0.25),
    }
    landmarks, voxels = growth_figure(costs).axes
    (of_heatmap, of_agent), (alone, _) = landmarks.lines, voxels.lines
    assert of_heatmap.get_xydata().tolist() == [[10, 0.5], [45, 2.0]]
    assert of_agent.get_xydata().tolist() == [[10, 0.25]]
    assert alone.get_xydata().tolist() == [[54 * 35 * 47, 0.5]]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak of a process is read with wait4")
def test_methods_are_measured_and_end_where_memory_does(tmp_path):
    output = tmp_path / "growth"
    common = ["benchmarks/growth.py", f"output={output}", "landmarks=[2]"]
    methods = ("single", "heatmap", "agent")
    done = run(*common, "sides=[]", f"only=[{','.join(methods)}]", timeout=900)
    assert done.returncode == 0, done.stderr
    for method in methods:
        cost = json.loads((output / f"{method}_2_1.json").read_text("utf-8"))
        assert cost["ended"] is None
        assert cost["localise_seconds"] > 0
        assert (cost["step_seconds"] is None) == (method == "agent")
        assert cost["peak_gb"] > 0.1
    assert (output / "growth.png").is_file()
    before = (output / "heatmap_2_1.json").stat().st_mtime_ns
    done = run(*common, "only=[heatmap]", "sides=[4]", "gigabytes=2", timeout=900)
    assert done.returncode == 0, done.stderr
    assert "| heatmap | 2 | 216 x 140 x 188 | over 2 GB |" in (output / "growth.md").read_text()
    assert (output / "heatmap_2_1.json").stat().st_mtime_ns == before
    assert run("benchmarks/growth.py", "nothing=1", timeout=300).returncode != 0

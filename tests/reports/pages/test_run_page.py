import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from page_runs import HOSTILE, SCENE, add_figures, evaluation_of, write_page_run

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.conformal import ConformalSettings
from pin_lightning.evaluation.poses import PoseResult, write_poses
from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.reports.fold_report import report_folds
from pin_lightning.reports.pages.page import Picture
from pin_lightning.reports.pages.run_page import write_run_page
from pin_lightning.runs.folds import write_folds

BOOTSTRAP = BootstrapSettings(resamples=100)
SETTINGS = ReportSettings(bootstrap=BOOTSTRAP)


@pytest.fixture(autouse=True)
def without_charts(monkeypatch):
    """Charts are tested where they are made; to write one takes longer than all the rest."""
    monkeypatch.setattr(Picture, "of_chart", lambda _, alt: Picture("data:,", alt))


def page_of(run_dir: Path, settings=SETTINGS) -> str:
    path = write_run_page(run_dir, settings)
    assert path == run_dir / "report.html"
    return path.read_text(encoding="utf-8")


def words(text: str) -> str:
    """The visible text of a page, roughly."""
    text = re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).replace("&nbsp;", " ").split())


def test_a_run(tmp_path):
    text = words(page_of(write_page_run(tmp_path)))
    parts = ("times closer than the mean shape", "1 of 48 landmarks", "cross_validate")
    parts += ("no pictures of cases", "All 48 landmarks are compared")
    parts += ("2 training, 1 validation, 12 test",)
    assert [part for part in parts if part not in text] == []
    assert "/home/somebody" not in text


def test_what_is_in_the_folder_is_shown(tmp_path):
    add_figures(write_page_run(tmp_path))
    text = page_of(tmp_path)
    badges = re.findall(r'badge (\w+)">\w+</span> (case_\d+)', text)
    assert [label for label, _ in badges] == ["worst", "median", "best"]
    assert badges[0] == ("worst", "case_11")  # the only one with pictures and paths
    assert re.findall(r'id="tab-(\w+)', text) == ["worst"]
    assert text.count('<img src="data:image/png') == 3
    assert "plotly.js v" in text
    assert "&lt;b&gt;TV&lt;/b&gt;" in text
    assert json.loads(re.search(r'data-scene="scene-worst">(.*?)</script>', text).group(1))["data"]


def test_names_are_shown_as_they_are(tmp_path):
    text = page_of(write_page_run(tmp_path, evaluation_of(hostile=True)))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; &amp; &#39;quoted&#39;" in text
    assert HOSTILE not in text


def test_other_methods_are_compared_where_all_have_a_landmark(tmp_path):
    run_dir = write_page_run(tmp_path / "run")
    write_predictions(tmp_path / "other" / "predictions.csv", {"test": evaluation_of(6)})
    settings = ReportSettings(others=(("atlas", str(tmp_path / "other")),), bootstrap=BOOTSTRAP)
    text = words(page_of(run_dir, settings))
    assert "Only the 24 of 48 landmarks that all methods have are compared" in text
    assert "on 6 test cases" in text
    assert " atlas " in text


@pytest.mark.slow
def test_a_cross_validation_says_whether_its_error_bars_hold(tmp_path):
    halves = [evaluation_of(10, seed=number) for number in range(2)]
    for number, half in enumerate(halves):
        write_page_run(tmp_path / f"fold{number}", half)
    write_folds(tmp_path, 2)
    evaluation = evaluation_of(20)
    first = evaluation.defined[0].nonzero()[0][0]
    evaluation.truth_world[0, first] += 100.0
    report_folds(tmp_path, evaluation, ConformalSettings(), SETTINGS)
    text = words(page_of(tmp_path))
    assert "Annotations to check" in text
    assert f"{evaluation.names[first]} lies 1" in text
    assert "Cross-validation, 2 folds" in text
    assert "of the landmarks lie within their radius" in text
    assert "where 90 % are asked" in text
    assert "Median radius, mm" in text
    (tmp_path / "calibration.json").unlink()
    assert "There are none" in words(page_of(tmp_path))


def test_what_few_cases_cannot_say_is_said(tmp_path):
    text = words(page_of(write_page_run(tmp_path, evaluation_of(1))))
    assert "1 case (one case, so no interval)" in text
    assert "Only 1 case:" in text


def test_no_case_held_out(tmp_path):
    run_dir = write_page_run(tmp_path)
    write_predictions(run_dir / "predictions.csv", {})
    shutil.rmtree(run_dir / "logs")
    text = words(page_of(run_dir))
    assert "nothing is known about the errors" in text
    assert "too short to log a curve" in text


def test_validation_cases_are_no_test(tmp_path):
    run_dir = write_page_run(tmp_path)
    write_predictions(run_dir / "predictions.csv", {"val": evaluation_of()})
    assert "No case was kept for the test" in words(page_of(run_dir))


def test_a_run_that_is_no_better_than_the_mean_shape_says_so(tmp_path):
    evaluation = evaluation_of()
    evaluation.predicted_world[:] += np.array([100.0, 0, 0])
    assert "no closer than the mean shape" in words(page_of(write_page_run(tmp_path, evaluation)))


def test_found_poses_have_a_section_of_their_own(tmp_path):
    run_dir = write_page_run(tmp_path)
    assert 'id="poses"' not in page_of(run_dir)
    good = PoseResult("good", 1.0, 0.2, -2.0, 1.5, uncertain=False, right=True, seconds=0.25)
    poses = [
        good,
        replace(good, case="turned", rotation_degrees=170.0, position_mm=9.0, right=False),
        replace(good, case=HOSTILE, rotation_degrees=np.nan, right=None, uncertain=True),
        replace(good, case="third", rotation_degrees=2.0, lead=np.inf),
    ]
    write_poses(run_dir / "poses.csv", {"test": poses})
    figures = run_dir / "figures"
    figures.mkdir(exist_ok=True)
    (figures / "test_worst_pose.json").write_text(json.dumps(SCENE))
    html = page_of(run_dir)
    text = words(html)
    assert "2 of 3 poses were found right, to 25° and 12 % of the anatomy's extent." in text
    assert "off by 2.00° at the median and 170° at most" in text
    assert "1 of 4 is called uncertain; 1 wrong one is not" in text
    assert HOSTILE not in html
    table = html[html.index('id="table-poses"') :]
    assert table.index("turned") < table.index("good")
    assert 'data-scene="scene-pose-worst"' in html
    assert "the pose, found from many starts" in text

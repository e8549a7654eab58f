"""A run that finds the pose shows it: in its files, on its page and in the outputs of infer.py."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from conftest import composed
from pin_lightning.evaluation.poses import read_poses
from pin_lightning.inference.run import infer
from pin_lightning.studies.new_cases import evaluate_new
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

TINY = ["pose=find", "pose.steps=2", "pose.calibration_folds=0", "trainer.max_steps=2"]


@pytest.fixture(scope="module")
def run(short_settings, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("posed") / "run"
    settings = (*short_settings, *TINY, "trainer.val_check_interval=2", "report.pictures=true")
    train(composed(*settings), run_dir)
    return run_dir


def test_poses_stand_in_a_table_in_the_metrics_and_on_the_page(run):
    poses = read_poses(run / "poses.csv")
    numbers = json.loads((run / "metrics.json").read_text("utf-8"))["test"]["poses"]
    assert numbers["n"] == numbers["known"] == len(poses["test"]) > 0
    page = (run / "report.html").read_text("utf-8")
    assert "poses</strong> were found right" in page
    for label in ("best", "median", "worst"):
        assert (run / "figures" / f"test_{label}_pose.gif").is_file()
        assert f'data-scene="scene-pose-{label}"' in page


def test_new_cases_have_poses_too(run, phantom_root, tmp_path):
    output = tmp_path / "evaluated"
    root = f"data.root={phantom_root}"
    given = (f"run={run}", root, f"output={output}", "report.pictures=false", "device=cpu")
    metrics = evaluate_new(composed(*given, config_name="evaluate"))
    known = {one.case: one for one in read_poses(run / "poses.csv")["test"]}
    again = {one.case: one for one in read_poses(output / "poses.csv")["test"]}
    assert metrics["test"]["poses"]["n"] == len(again) == 10
    for case, one in known.items():
        assert again[case].rotation_degrees == pytest.approx(one.rotation_degrees, abs=0.1)


def test_predictions_say_what_is_uncertain_and_what_is_outside(run, phantom_root, tmp_path):
    image = nib.load(sorted((phantom_root / "images").iterdir())[0])
    scans = tmp_path / "scans"
    scans.mkdir()
    nib.save(image.slicer[: image.shape[0] // 2], scans / "half.nii.gz")
    given = (f"run={run}", f"input={scans}", f"output={tmp_path}/out", "device=cpu")
    assert infer(composed(*given, config_name="infer")) == 0
    with (tmp_path / "out" / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["pose"] for row in rows} <= {"sure", "uncertain"}
    assert np.isfinite([float(row["pose_score"]) for row in rows]).all()
    markup = json.loads((tmp_path / "out" / "half.mrk.json").read_text("utf-8"))
    for point, row in zip(markup["markups"][0]["controlPoints"], rows, strict=True):
        missing = row["x"] == ""
        assert (point["positionStatus"] == "missing") is missing
        assert ("outside the scan" in point["description"]) is missing
        assert ("pose uncertain" in point["description"]) is (row["pose"] == "uncertain")

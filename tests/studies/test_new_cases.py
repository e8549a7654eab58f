import json
import shutil

import numpy as np
import pytest
from omegaconf import OmegaConf
from started_at_once import run

from conftest import composed
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
from pin_lightning.evaluation.conformal import ConformalSettings, calibrate
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folder import read_record
from pin_lightning.runs.folds import read_calibration, write_calibration
from pin_lightning.studies.new_cases import evaluate_new

pytestmark = pytest.mark.slow


def config_of(run_dir, root, output, *settings):
    given = [f"run={run_dir}", "data=folder", f"data.root={root}", f"output={output}"]
    given += ["device=cpu", "report.pictures=false", *settings]
    return composed(*given, config_name="evaluate")


def test_errors_are_those_of_the_run_on_the_same_cases(short_run, phantom_root, tmp_path, caplog):
    metrics = evaluate_new(config_of(short_run, phantom_root, tmp_path / "out"))["test"]
    own = read_predictions(short_run / "predictions.csv")["test"]
    found = read_predictions(tmp_path / "out" / "predictions.csv")["test"]
    rows = [found.cases.index(case) for case in own.cases]
    np.testing.assert_allclose(found.predicted_world[rows], own.predicted_world, atol=1e-3)
    assert metrics["num_cases"] == 10
    assert "intervals" in metrics
    assert "error_bars" not in metrics
    record = read_record(short_run)
    trained_on = len(record.split.train) + len(record.split.val)
    assert f"{trained_on} of 10 cases have names of cases that the run was tr" in caplog.text
    split = read_record(tmp_path / "out").split
    assert split.test == found.cases
    assert split.train == record.split.train


def test_exchanged_names_are_said(short_run, phantom_root, tmp_path, caplog):
    root = shutil.copytree(phantom_root, tmp_path / "data")
    path = sorted((root / "landmarks").iterdir())[0]
    given = read_landmarks(path)
    first, second, *others = given.names
    write_landmarks(path, LandmarkSet.of([second, first, *others], given.positions_world))
    evaluate_new(config_of(short_run, root, tmp_path / "out"))
    assert f"{path.name.split('.')[0]}: names {first} and {second} look swapped" in caplog.text


def test_radii_are_tested_on_new_cases(short_run, phantom_root, tmp_path):
    run_dir = shutil.copytree(short_run, tmp_path / "run")
    names = read_record(run_dir).names
    errors = np.random.default_rng(0).uniform(1.0, 12.0, (40, len(names)))
    write_calibration(run_dir, calibrate(errors, 0 * errors, names, ConformalSettings()))
    settings = ["report.bootstrap.resamples=100"]
    metrics = evaluate_new(config_of(run_dir, phantom_root, tmp_path / "out", *settings))
    bars = metrics["test"]["error_bars"]
    found = read_predictions(tmp_path / "out" / "predictions.csv")["test"]
    radii_mm = read_calibration(run_dir, names).radius_mm(found.spread_mm)
    assert bars["coverage_asked"] == 0.9
    assert bars["coverage"] == (found.errors_mm <= radii_mm).mean()
    assert bars["median_radius_mm"] == np.median(radii_mm)
    assert 0 < bars["coverage"] < 1
    assert json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8")) == metrics


def test_landmarks_outside_their_image_are_refused_at_first(short_run, phantom_root, tmp_path):
    root = shutil.copytree(phantom_root, tmp_path / "data")
    far = LandmarkSet.of(["CSP"], np.full((1, 3), 1e4))
    write_landmarks(next((root / "landmarks").iterdir()), far)
    with pytest.raises(ValueError, match="outside"):
        evaluate_new(config_of(short_run, root, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_another_anatomy_is_refused(short_run, phantom_root, tmp_path):
    root = shutil.copytree(phantom_root, tmp_path / "data")
    for path in (root / "landmarks").iterdir():
        path.write_text(path.read_text("utf-8").replace("CSP", "csp"))
    metrics = evaluate_new(config_of(short_run, root, tmp_path / "out"))["test"]
    assert metrics["per_landmark"]["CSP"]["n"] == 0  # a partial annotation is no error
    for path in (root / "landmarks").iterdir():
        text = path.read_text("utf-8")
        for name in metrics["per_landmark"]:
            text = text.replace(f'"{name}"', f'"other {name}"')
        path.write_text(text)
    with pytest.raises(ValueError, match=r"not those of the run .*data\.rename\.prefix=other "):
        evaluate_new(config_of(short_run, root, tmp_path / "other"))


def test_labels_are_renamed_as_for_the_run_unless_otherwise_asked(
    short_run, phantom_root, tmp_path
):
    run_dir = shutil.copytree(short_run, tmp_path / "run")
    config = OmegaConf.load(run_dir / "config.yaml")
    config.data.rename.prefix = "{case}_"
    OmegaConf.save(config, run_dir / "config.yaml")
    root = shutil.copytree(phantom_root, tmp_path / "data")
    for path in (root / "landmarks").iterdir():
        case, text = path.name.split(".")[0], path.read_text("utf-8")
        path.write_text(text.replace('"label": "', f'"label": "{case}_'))
    metrics = evaluate_new(config_of(run_dir, root, tmp_path / "out"))["test"]
    assert {one["n"] for one in metrics["per_landmark"].values()} == {10}
    assert OmegaConf.load(tmp_path / "out" / "config.yaml").data.rename.prefix == "{case}_"
    with pytest.raises(ValueError, match=r"not those of the run .*data\.rename\.prefix=\{case\}_"):
        evaluate_new(config_of(run_dir, root, tmp_path / "no", "data.rename.suffix=x"))


def test_a_trained_run_is_no_output(short_run, phantom_root):
    with pytest.raises(ValueError, match="is a trained run; give another folder"):
        evaluate_new(config_of(short_run, phantom_root, short_run))
    assert read_record(short_run).split.train


def test_settings_are_those_of_the_evaluation(short_run, phantom_root, tmp_path):
    run_dir = shutil.copytree(short_run, tmp_path / "run")
    config = OmegaConf.load(run_dir / "config.yaml")
    config.report.others = {"atlas": "gone.csv"}  # of other cases, so of no use here
    config.data.planes = {"TC": {"landmarks": ["CSP", "leftCerebellar", "rightCerebellar"]}}
    OmegaConf.save(config, run_dir / "config.yaml")
    settings = ["report.failure_mm=2", "report.bootstrap.resamples=100"]
    metrics = evaluate_new(config_of(run_dir, phantom_root, tmp_path / "out", *settings))
    assert metrics["test"]["planes"]["TC"]["n"] == 10
    written = OmegaConf.load(tmp_path / "out" / "config.yaml")
    assert (written.report.failure_mm, written.report.others) == (2, {})
    assert written.report.bootstrap == {"level": 0.95, "resamples": 100, "seed": 0}
    assert written.data.root == str(phantom_root)


def test_the_command_leaves_a_page(short_run, phantom_root, tmp_path):
    settings = [f"run={short_run}", f"data.root={phantom_root}", f"output={tmp_path / 'out'}"]
    result = run("-m", "pin_lightning.evaluate", *settings)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "report.html").is_file()
    result = run("-m", "pin_lightning.evaluate", f"run={short_run}", "data.root=x", "output=x")
    assert result.returncode == 2
    assert len([line for line in result.stderr.splitlines() if "error:" in line]) == 1

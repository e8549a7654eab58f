import csv
import json
import shutil

import numpy as np
import pytest

from conftest import composed
from pin_lightning.evaluation.conformal import ConformalSettings, calibrate
from pin_lightning.inference.run import infer
from pin_lightning.runs import predictor
from pin_lightning.runs.folder import read_record
from pin_lightning.runs.folds import read_calibration, write_calibration, write_folds
from pin_lightning.runs.predictor import Predictor

pytestmark = pytest.mark.slow


def make_folds(short_run, folder):
    """One run three times, each with other starts: folds that predict something else."""
    for fold in range(3):
        copy = shutil.copytree(short_run, folder / f"fold{fold}")
        content = json.loads((copy / "run.json").read_text("utf-8"))
        content["model"]["seed"] = fold
        (copy / "run.json").write_text(json.dumps(content))
    write_folds(folder, 3)
    names = read_record(short_run).names
    rng = np.random.default_rng(0)
    errors, spread = rng.exponential(1, (2, 12, len(names)))
    write_calibration(folder, calibrate(errors, spread, names, ConformalSettings(0.85)))
    return folder


@pytest.fixture(scope="module")
def folds(short_run, tmp_path_factory):
    return make_folds(short_run, tmp_path_factory.mktemp("folds"))


@pytest.fixture
def own_folds(folds, tmp_path):
    return shutil.copytree(folds, tmp_path / "folds")


@pytest.fixture(scope="module")
def images(phantom_root):
    return sorted((phantom_root / "images").iterdir())[:3]


def inferred(run, images, output, *settings):
    paths = [f"run={run}", f"input={images[0].parent}/*0[0-2]*", f"output={output}"]
    return infer(composed(*paths, "device=cpu", *settings, config_name="infer"))


def rows_of(output):
    with (output / "landmarks.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_folds_are_averaged(folds, images):
    ensemble = Predictor.load(folds, "cpu")
    alone = [Predictor.load(folds / f"fold{fold}", "cpu") for fold in range(3)]
    found = dict(ensemble.predict_many([*images, "no/such.nii"], batch_size=2))
    assert isinstance(found.popitem()[1], ValueError)
    for path, prediction in found.items():
        singles = np.stack([one.predict(path).positions_world for one in alone])
        mean = singles.mean(axis=0)
        np.testing.assert_allclose(prediction.positions_world, mean, atol=1e-3)
        between = np.square(singles - mean).sum(-1).mean(axis=0)
        within = np.mean([one.predict(path).spread_mm ** 2 for one in alone], axis=0)
        np.testing.assert_allclose(prediction.spread_mm, np.sqrt(within + between), atol=1e-3)
        assert between.max() > 1e-3
        radius_mm = ensemble.calibration.radius_mm(prediction.spread_mm)
        np.testing.assert_allclose(prediction.radius_mm, radius_mm)
        assert alone[0].predict(path).radius_mm is None
        np.testing.assert_allclose(prediction.trajectory.within_mm[0], np.sqrt(within), atol=1e-3)
    squares = [one.apart_mm**2 for one in alone]
    assert ensemble.apart_mm == pytest.approx(np.sqrt(np.mean(squares)))


def test_a_volume_is_read_once_for_all_folds(folds, images, monkeypatch):
    read, read_image = [], predictor.read_image
    counted = lambda path, *rule: read.append(path) or read_image(path, *rule)  # noqa: E731
    monkeypatch.setattr(predictor, "read_image", counted)
    list(Predictor.load(folds, "cpu").predict_many(images))
    assert sorted(read) == images


def test_infer_writes_radii_and_marks(folds, images, tmp_path):
    assert inferred(folds, images, tmp_path / "out") == 0
    rows = rows_of(tmp_path / "out")
    calibration = Predictor.load(folds, "cpu").calibration
    limits = dict(zip(calibration.names, 2 * calibration.median_radius_mm, strict=True))
    names = sorted({row["volume"] for row in rows})
    assert len(rows) == 10 * len(names) > 10
    for row in rows:
        assert row["coverage"] == "0.85"
        expected = "yes" if float(row["radius_mm"]) > limits[row["landmark"]] else "no"
        assert row["review"] == expected
    content = json.loads((tmp_path / "out" / f"{names[0]}.mrk.json").read_text("utf-8"))
    for row, point in zip(rows, content["markups"][0]["controlPoints"], strict=False):
        mark = "review: " if row["review"] == "yes" else ""
        radius, spread = float(row["radius_mm"]), float(row["spread_mm"])
        text = f"{mark}85 % within {radius:.2f} mm, spread over starts {spread:.2f} mm"
        assert point["description"] == text


@pytest.mark.parametrize(("above_mm", "marks"), [("1e-6", {"yes"}), ("1e6", {"no"})])
def test_a_limit_marks_all_or_none(folds, images, tmp_path, above_mm, marks):
    inferred(folds, images, tmp_path, f"review_above_mm={above_mm}", "format=fcsv")
    assert {row["review"] for row in rows_of(tmp_path)} == marks
    text = next(tmp_path.glob("*.fcsv")).read_text("utf-8")
    assert ("review: 85 % within" in text) == (marks == {"yes"})


def test_a_wrong_limit_and_one_without_error_bars_are_refused(short_run, folds, images, tmp_path):
    with pytest.raises(ValueError, match="review_above_mm=-1: give a positive number"):
        inferred(folds, images, tmp_path / "out", "review_above_mm=-1")
    with pytest.raises(ValueError, match=r"review_above_mm=1: run=.* has no error bars; give"):
        inferred(short_run, images, tmp_path / "out", "review_above_mm=1")
    assert not (tmp_path / "out").exists()


def test_calibration_round_trip(folds):
    names = read_record(folds / "fold0").names
    calibration = read_calibration(folds, names)
    before = (folds / "calibration.json").read_text("utf-8")
    write_calibration(folds, calibration)
    assert (folds / "calibration.json").read_text("utf-8") == before
    assert calibration.settings == ConformalSettings(0.85)
    assert calibration.num_cases == 12
    assert read_calibration(folds / "fold0", names) is None


@pytest.mark.parametrize("missing", ["fold1", "fold1/predictions.csv"])
def test_a_missing_or_unfinished_fold_is_refused(own_folds, missing):
    path = own_folds / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ValueError, match=r"fold1 of 3 folds not there or not finished; start"):
        Predictor.load(own_folds)


def change_record(folder, **changes):
    path = folder / "fold2" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}))


def test_folds_of_other_landmarks_or_grids_are_refused(own_folds):
    names = read_record(own_folds / "fold0").names
    change_record(own_folds, names=[*names[:-1], "nose"])
    with pytest.raises(ValueError, match=r"fold2: its landmarks \(.*nose\) differ from those of"):
        Predictor.load(own_folds)
    change_record(own_folds, names=names, grid={"size": [54, 35, 48], "spacing_mm": 3.0})
    with pytest.raises(ValueError, match=r"fold2: its working grid .*48.* differ from those of"):
        Predictor.load(own_folds)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("folds.json", "{", r"folds\.json: is damaged"),
        ("folds.json", '{"format_version": 1, "folds": 0}', r"folds\.json: is damaged"),
        ("folds.json", '{"format_version": 99}', "format_version 99, this program reads 1 to"),
        ("calibration.json", "[]", r"calibration\.json: is damaged"),
        ("calibration.json", '{"format_version": 1}', r"calibration\.json: is damaged"),
    ],
)
def test_damaged_files_are_refused(own_folds, name, text, words):
    (own_folds / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        Predictor.load(own_folds)


def test_a_calibration_of_other_landmarks_or_values_is_refused(own_folds):
    path = own_folds / "calibration.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "coverage": 1.5}))
    with pytest.raises(ValueError, match=r"calibration\.json: is damaged \(.*coverage=1\.5"):
        Predictor.load(own_folds)
    content["landmarks"].popitem()
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"calibration\.json: is of the landmarks"):
        Predictor.load(own_folds)

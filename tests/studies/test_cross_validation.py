import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation
from rich.console import Console

from conftest import composed
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.conformal import ConformalSettings
from pin_lightning.evaluation.planes.axes import LineFit
from pin_lightning.evaluation.planes.errors import plane_metrics
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.evaluation.poses import PoseResult, read_poses, write_poses
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.evaluation.summary import metrics_of, numbers_of
from pin_lightning.reports.fold_report import fold_table, report_folds
from pin_lightning.runs.folder import read_record
from pin_lightning.runs.folds import fold_folder, read_calibration, write_folds
from pin_lightning.studies.cross_validation import cross_validate, out_of_fold, poses_out_of_fold
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

TINY = ["trainer.max_steps=4", "trainer.val_check_interval=4", "data.split.folds=3"]

SETTINGS = ReportSettings(bootstrap=BootstrapSettings(resamples=200))


def config_of(short_settings, *settings):
    """A cross-validation of seconds."""
    return composed(*short_settings, *TINY, *settings, config_name="cross_validate")


def metrics_in(folder):
    return json.loads((folder / "metrics.json").read_text("utf-8"))["test"]


@pytest.fixture
def report(tmp_path):
    evaluation = random_evaluation(0, num_cases=20)
    report_folds(tmp_path, evaluation, ConformalSettings(), SETTINGS)
    return tmp_path, evaluation


def test_report_holds_metrics_intervals_and_error_bars(report):
    folder, evaluation = report
    test = metrics_in(folder)
    assert test.items() >= numbers_of(evaluation, SETTINGS).items()
    for name, (low, high) in test["intervals"]["radial_error_mm"].items():
        assert low <= test["radial_error_mm"][name] <= high
    bars = test["error_bars"]
    assert bars["coverage_asked"] == 0.9
    assert 0.8 <= bars["coverage"] <= 1
    assert set(bars["coverage_per_landmark"]) == set(evaluation.names)
    written = read_predictions(folder / "predictions.csv")["test"]
    assert metrics_of(written) == metrics_of(evaluation)
    assert read_calibration(folder, evaluation.names).num_cases == 20


def test_table_shows_each_value_with_its_interval(report):
    test = metrics_in(report[0])
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(fold_table(test))
    text = console.export_text()
    low, high = test["intervals"]["radial_error_mm"]["mean"]
    (row,) = [line for line in text.splitlines() if "Mean radial error" in line]
    assert f"{test['radial_error_mm']['mean']:.3f}" in row
    assert f"{low:.3f} to {high:.3f}" in row
    for label in ("Median, mm", "95th percentile", "Within 2 mm, %", "Mean shape", "(asked 90)"):
        assert label in text
    assert "20 cases" in text


def test_planes_stand_in_a_table_of_their_own_and_nothing_of_before_is_left(report, capsys):
    folder, evaluation = report
    names = evaluation.names[:3]
    settings = replace(SETTINGS, planes=(PlaneGroup("P", names, LineFit(names)),))
    test = report_folds(folder, evaluation, None, settings)["test"]
    assert test["planes"] == plane_metrics(evaluation, settings.planes)["planes"]
    assert "Standard planes" in capsys.readouterr().out
    assert len((folder / "planes.csv").read_text("utf-8").splitlines()) == 1 + len(evaluation.cases)
    report_folds(folder, evaluation, None, SETTINGS)
    assert not (folder / "planes.csv").exists()
    assert not (folder / "calibration.json").exists()
    assert "error_bars" not in metrics_in(folder)


def test_just_enough_cases_have_error_bars_that_cannot_be_checked(tmp_path):
    drawn = (random_evaluation(seed, num_cases=9, num_landmarks=1) for seed in range(100))
    evaluation = next(one for one in drawn if one.defined.all())
    report_folds(tmp_path, evaluation, ConformalSettings(), SETTINGS)
    assert metrics_in(tmp_path)["error_bars"] == {"coverage_asked": 0.9, "coverage": None}


REFUSED = {
    "coverage": (["calibration.coverage=1.5"], "calibration.coverage=1.5: give a number"),
    "too-few": (["calibration.coverage=0.95"], "needs at least 19 cases, there are 10; give at"),
    "at-once": (["folds_at_once=1.5"], "folds_at_once=1.5"),
    "level": (["report.bootstrap.level=95"], "bootstrap.level=95: give a number between 0 and 1"),
    "no-folds": (["data.split.folds=null"], "data.split.folds=null: give the number of folds"),
    "folds": (["data.split.folds=11"], "data.split.folds=11: there are 10 subjects"),
    "one-fold": (["data.split.folds=1"], "data.split.folds=1: give a whole number of at least 2"),
    "fold": (["data.split.fold=1"], "data.split.fold=1: all folds are trained here"),
    "lists": (["data.split.test_names=[a]"], "cannot be combined with data.split.folds"),
    "resumed": (["ckpt_path=a.ckpt"], "ckpt_path=a.ckpt: folds are not continued"),
    "plane": (["+data.planes.P.landmarks=[a,b,c]"], "data.planes.P: no case has a; there are "),
    "no-root": (["data.root=???"], "data.root: is not set; give"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_before_a_fold_is_trained(kind, short_settings, tmp_path):
    settings, words = REFUSED[kind]
    config = config_of(short_settings, *settings)
    config.overrides = settings  # as on a command line, which asks for them
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        cross_validate(config, tmp_path / "run")
    assert words in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_the_folder_of_a_single_run_is_refused(short_settings, short_run):
    with pytest.raises(ValueError, match="is the folder of a single run; give another"):
        cross_validate(config_of(short_settings), short_run)


@pytest.fixture(scope="module")
def folds(short_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cross validation") / "run"
    cross_validate(config_of(short_settings), folder)
    return folder


def test_every_case_is_predicted_by_the_fold_that_did_not_see_it(folds):
    evaluation = out_of_fold(folds)
    assert len(evaluation.cases) == 10
    for fold in range(3):
        record = read_record(folds / f"fold{fold}")
        part = read_predictions(folds / f"fold{fold}" / "predictions.csv")["test"]
        assert part.cases == record.split.test
        assert not set(part.cases) & {*record.split.train, *record.split.val}
        assert len(record.split.val) == 1
        rows = [evaluation.cases.index(case) for case in part.cases]
        np.testing.assert_array_equal(evaluation.predicted_world[rows], part.predicted_world)
    together = read_predictions(folds / "predictions.csv")["test"]
    metrics = metrics_in(folds)
    assert metrics["radial_error_mm"] == metrics_of(together)["radial_error_mm"]
    assert metrics["error_bars"]["coverage"] > 0.7


def test_a_fold_is_the_run_that_train_makes(folds, short_settings, tmp_path):
    train(composed(*short_settings, *TINY, "data.split.fold=1"), tmp_path)
    alone = read_predictions(tmp_path / "predictions.csv")["test"]
    fold = read_predictions(folds / "fold1" / "predictions.csv")["test"]
    assert alone.cases == fold.cases
    np.testing.assert_array_equal(alone.predicted_world, fold.predicted_world)


def test_finished_folds_are_kept_and_others_trained(folds, short_settings, tmp_path):
    folder = shutil.copytree(folds, tmp_path / "run")
    (folder / "fold1" / "predictions.csv").unlink()
    records = [folder / f"fold{fold}" / "run.json" for fold in range(3)]
    before = [record.stat().st_mtime_ns for record in records]
    plane = "+data.planes.TC.landmarks=[CSP,leftCerebellar,rightCerebellar]"  # not trained on
    other = ["calibration.coverage=0.8", plane, "report.pictures=true"]
    again = cross_validate(config_of(short_settings, *other), folder)
    after = [record.stat().st_mtime_ns for record in records]
    assert [one != other for one, other in zip(before, after, strict=True)] == [False, True, False]
    assert again["test"]["radial_error_mm"] == metrics_in(folds)["radial_error_mm"]
    assert again["test"]["error_bars"]["coverage_asked"] == 0.8
    assert again["test"]["planes"]["TC"]["n"] == 10
    assert (folder / "figures" / "test_worst_planes.png").is_file()
    with pytest.raises(ValueError, match=r"fold0: was trained with seed=0, now it is 1; give the"):
        cross_validate(config_of(short_settings, "seed=1"), folder)
    record = json.loads(records[2].read_text("utf-8"))
    record["split"]["val"] = []
    records[2].write_text(json.dumps(record))
    with pytest.raises(ValueError, match="fold2: was trained on other cases"):
        cross_validate(config_of(short_settings), folder)


def test_folds_at_once_are_the_folds_one_after_the_other(folds, short_settings, tmp_path):
    cross_validate(config_of(short_settings, "folds_at_once=2"), tmp_path / "parallel")
    one, other = (out_of_fold(folder) for folder in (folds, tmp_path / "parallel"))
    assert one.cases == other.cases
    # Another number of threads adds up in another order.
    np.testing.assert_allclose(one.predicted_world, other.predicted_world, atol=0.05)
    for fold in range(3):
        path = tmp_path / "parallel" / f"fold{fold}" / "train.log"
        assert "10 landmarks" in path.read_text("utf-8")
    config = config_of(short_settings, "folds_at_once=2", "trainer.max_steps=3")
    with pytest.raises(ValueError, match=r"fold0: was trained with trainer\.max_steps=4"):
        cross_validate(config, tmp_path / "parallel")


def test_a_fold_that_fails_in_its_process_ends_in_one_line(short_settings, tmp_path):
    config = config_of(short_settings, "folds_at_once=2", f"data.cache_dir={tmp_path}/cache")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "fold1").write_text("in the way")
    with pytest.raises((ValueError, OSError), match="fold1"):
        cross_validate(config, tmp_path / "run")


def test_poses_of_all_folds_stand_in_the_table_of_all(tmp_path, capsys):
    evaluation = random_evaluation(0, num_cases=12)
    one = PoseResult("a", 1.0, 0.2, -2.0, 1.5, uncertain=False, right=True, seconds=0.25)
    for number in range(2):
        folder = fold_folder(tmp_path, number)
        own = [replace(one, case=f"{number}", right=number == 0)]
        write_poses(folder / "poses.csv", {"val": [one], "test": own})
        for name in ("run.json", "predictions.csv"):  # as of a finished fold
            (folder / name).touch()
    write_folds(tmp_path, 2)
    poses = poses_out_of_fold(tmp_path)
    assert [one.case for one in poses] == ["0", "1"]
    test = report_folds(tmp_path, evaluation, None, SETTINGS, poses)["test"]
    assert test["poses"]["right"] == 1
    assert test["poses"]["wrong_and_sure"] == 1
    assert "1 of 2" in capsys.readouterr().out
    assert read_poses(tmp_path / "poses.csv") == {"test": poses}
    assert "poses" not in report_folds(tmp_path, evaluation, None, SETTINGS)["test"]
    assert not (tmp_path / "poses.csv").exists()

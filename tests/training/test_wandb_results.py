"""What a training leaves in W&B, read back from the files of an offline run."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from evaluation.test_evaluation import small_evaluation
from omegaconf import OmegaConf
from PIL import Image
from wandb_files import read_run

from conftest import REPOSITORY
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.evaluation.summary import numbers_of
from pin_lightning.training.wandb_results import case_rows, headline, landmark_rows, log_results


class RecordedRun:
    """A W&B run that keeps what it is given."""

    def __init__(self):
        self.summary, self.logged = {}, {}

    def log(self, values):
        self.logged |= values


@pytest.fixture
def figures(tmp_path):
    """Pictures as of a run with two test cases of the same mean error."""
    folder = tmp_path / "figures"
    folder.mkdir()
    for name in ("test_best_case.png", "test_worst_starts.png", "training.png"):
        Image.new("RGB", (4, 3)).save(folder / name)
    frames = [Image.new("RGB", (4, 3), (grey, grey, grey)) for grey in (0, 255)]
    frames[0].save(folder / "test_worst_starts.gif", save_all=True, append_images=frames[1:])
    return folder


def test_headline_by_hand():
    metrics = numbers_of(small_evaluation(), ReportSettings(radii_mm=(0.5, 4)))
    found = headline(metrics, "test")
    assert found == {
        "test/radial_error_mm": 4.0,
        "test/sd_mm": 1.0,
        "test/median_mm": 4.0,
        "test/p95_mm": pytest.approx(4.9),
        "test/mean_shape_mm": pytest.approx(13 / 3),
        "test/within_0_5_mm": 0.0,
        "test/within_4_mm": pytest.approx(2 / 3),
        "test/seconds_per_volume": 1.0,
        # The mean error of each case is 4, and so is that of any draw of cases.
        "test/radial_error_low_mm": 4.0,
        "test/radial_error_high_mm": 4.0,
        **{f"test/median_{end}_mm": pytest.approx(4.0) for end in ("low", "high")},
        # Of a case drawn twice: errors 4, 4, or 3, 3, 5, 5.
        "test/p95_low_mm": 4.0,
        "test/p95_high_mm": 5.0,
    }
    nothing = {**vars(small_evaluation()), "defined": np.zeros((2, 2), dtype=bool)}
    undefined = numbers_of(type(small_evaluation())(**nothing), ReportSettings())
    assert headline(undefined, "val") == {"val/seconds_per_volume": 1.0}


def test_rows_by_hand(figures):
    rows = list(case_rows(small_evaluation(), "test", figures))
    picture = figures / "test_best_case.png"
    assert rows == [["a", 4.0, 5.0, "base", picture], ["b", 4.0, 4.0, "tip", None]]
    assert all(row[-1] is None for row in case_rows(small_evaluation(), "val", figures))
    metrics = numbers_of(small_evaluation(), ReportSettings())
    assert landmark_rows(metrics)[1] == ["base", 1, 5.0, 0.0, 5.0, 5.0, 10.0]


def test_tables_pictures_animations_and_the_page_are_logged(figures):
    run, evaluation = RecordedRun(), small_evaluation()
    metrics = {"test": numbers_of(evaluation, ReportSettings())}
    (figures.parent / "report.html").write_text("<p>A page</p>")
    log_results(run, figures.parent, metrics, {"test": evaluation})
    assert run.summary == headline(metrics["test"], "test")
    kinds = {key: type(value).__name__ for key, value in run.logged.items()}
    assert kinds == {
        "test/cases": "Table",
        "test/landmarks": "Table",
        "figures/test_best_case": "Image",
        "figures/test_worst_starts": "Image",
        "figures/training": "Image",
        "animations/test_worst_starts": "Video",
        "report": "Html",
    }
    assert run.logged["test/cases"].data[0][:4] == ["a", 4.0, 5.0, "base"]


def test_a_run_that_evaluates_nothing_adds_nothing(tmp_path):
    run = RecordedRun()
    log_results(run, tmp_path, {}, {})
    assert (run.summary, run.logged) == ({}, {})


@pytest.fixture(scope="module")
def listener():
    """An address at which any attempt to reach a network would arrive."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


@pytest.fixture(scope="module")
def sweep(short_settings, tmp_path_factory, listener):
    """Folder of two trainings of one process, for somebody who has no account."""
    folder, home = tmp_path_factory.mktemp("sweep"), tmp_path_factory.mktemp("home")
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environment = {key: value for key, value in os.environ.items() if "WANDB" not in key}
    environment |= dict.fromkeys(("WANDB_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY"), address)
    environment |= {"HOME": str(home), "no_proxy": "", "NO_PROXY": ""}
    settings = [one for one in short_settings if not one.startswith(("run_name", "run_dir"))]
    settings = [one for one in settings if not one.startswith("report.")]
    settings += ["model.alpha=0.25,0.75", "logger=wandb", f"hydra.sweep.dir={folder}/alpha"]
    settings += ["model.num_starts=2"]  # for quick pictures
    command = [sys.executable, str(REPOSITORY / "train.py"), "-m", *settings]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=500
    )
    assert done.returncode == 0, done.stderr
    return folder / "alpha"


@pytest.fixture(scope="module")
def written(sweep):
    """What was written for each of the two."""
    folders = [list((sweep / job / "wandb").glob("offline-run-*")) for job in "01"]
    assert [len(one) for one in folders] == [1, 1]
    return [read_run(one) for (one,) in folders]


@pytest.mark.slow
def test_trainings_of_a_sweep_are_two_runs_of_one_group_without_a_network(written, listener):
    assert all(run.exit_code == 0 for run in written)
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert len({run.info.run_id for run in written}) == 2
    assert [run.info.run_group for run in written] == ["alpha", "alpha"]
    assert [run.info.display_name for run in written] == ["multi_folder_0", "multi_folder_1"]
    assert [run.config["model"]["alpha"] for run in written] == [0.25, 0.75]
    assert {run.info.project for run in written} == {"pin-lightning"}


@pytest.mark.slow
def test_losses_accuracy_and_the_error_of_each_landmark_are_in_the_history(written, sweep):
    names = json.loads((sweep / "0" / "run.json").read_text("utf-8"))["names"]
    training = ("loss", "displacement_loss", "direction_loss", "direction_accuracy")
    for run in written:
        for key in training:
            values = [row for row in run.history if f"train/{key}" in row]
            assert [row["trainer/global_step"] for row in values] == [4, 9, 14, 19, 24, 29]
        validated = [row for row in run.history if "val/radial_error_mm" in row]
        assert [row["trainer/global_step"] for row in validated] == [14, 29]
        for row in validated:
            errors = [row[f"val_landmark/{name}_mm"] for name in names]
            assert np.mean(errors) == pytest.approx(row["val/radial_error_mm"], rel=1e-5)


@pytest.mark.slow
def test_config_and_summary_are_those_of_the_run_folder(written, sweep):
    for job, run in zip("01", written, strict=True):
        saved = OmegaConf.to_container(OmegaConf.load(sweep / job / "config.yaml"))
        assert {key: value for key, value in run.config.items() if key != "_wandb"} == saved
        metrics = json.loads((sweep / job / "metrics.json").read_text("utf-8"))
        for part in ("val", "test"):
            for key, value in headline(metrics[part], part).items():
                assert run.summary[key] == pytest.approx(value, rel=1e-12), key
        low, high = metrics["test"]["intervals"]["radial_error_mm"]["mean"]
        assert run.summary["test/radial_error_mm"] == metrics["test"]["radial_error_mm"]["mean"]
        assert run.summary["test/radial_error_low_mm"] == low
        assert run.summary["test/radial_error_high_mm"] == high


@pytest.mark.slow
def test_tables_and_pictures_are_among_the_files(written, sweep):
    evaluation = read_predictions(sweep / "0" / "predictions.csv")["test"]
    run = written[0]
    files = run.folder / "files"
    table = json.loads(run.tables["test/cases.table.json"].read_text("utf-8"))
    assert {row[0] for row in table["data"]} == set(evaluation.cases)
    errors = [row[1] for row in table["data"]]
    assert errors == sorted(np.nanmean(evaluation.errors_mm, axis=1), reverse=True)
    pictures = [run.tables[row[4]["path"]].read_bytes() for row in table["data"]]
    for picture, label in zip(pictures, ("worst", "median", "best"), strict=True):
        assert picture == (sweep / "0" / "figures" / f"test_{label}_case.png").read_bytes()
    landmarks = json.loads((files / run.summary["test/landmarks/path"]).read_text("utf-8"))
    assert [row[0] for row in landmarks["data"]] == list(evaluation.names)
    for path in (sweep / "0" / "figures").glob("*.png"):
        logged = files / run.summary[f"figures/{path.stem}/path"]
        assert logged.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_without_the_logger_nothing_imports_wandb(short_settings, tmp_path):
    settings = [one for one in short_settings if not one.startswith("run_dir")]
    settings += [f"run_dir={tmp_path}/run", "trainer.max_steps=2"]
    program = (
        "import runpy, sys\n"
        f"sys.argv = {['train.py', *settings]}\n"
        f"runpy.run_path({str(REPOSITORY / 'train.py')!r}, run_name='__main__')\n"
        "assert 'wandb' not in sys.modules"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr

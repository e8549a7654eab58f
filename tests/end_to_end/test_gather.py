import csv
import os

import pytest
from evaluation.test_evaluation import random_evaluation
from omegaconf import OmegaConf
from programs import run

from conftest import composed
from pin_lightning.cli.failures import write_failure
from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.studies.sweeps.gather import OPTUNA, GatherJobs, check_choice

CHOICE = "error: data.split.val_fraction=0: hydra/sweeper=optuna chooses by the validation error"


@pytest.fixture
def sweep(tmp_path):
    """A sweep over alpha of which the last job did not finish."""
    given = ("data=phantom", "run_name=x", "run_dir=x", "summary.title=Alphas")
    config = composed(*given, f"hydra.sweep.dir={tmp_path}", with_hydra=True)
    OmegaConf.save(config, tmp_path / "multirun.yaml")
    for number, alpha in enumerate((0, 0.5, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if alpha < 1:
            record = {"method": None, "overrides": ["data=phantom", f"model.alpha={alpha}"]}
            OmegaConf.save(record, folder / "config.yaml")
            write_predictions(folder / "predictions.csv", {"test": random_evaluation(number)})
    write_failure(tmp_path / "2", ["data=phantom", "model.alpha=1"], "no memory")
    return tmp_path, config


def test_a_sweep_ends_in_tables_and_a_figure(sweep, failures):
    folder, config = sweep
    GatherJobs().close(config)
    text = (folder / "table.md").read_text("utf-8")
    assert text.startswith("Alphas\n\n| Method |")
    assert "| model.alpha=0.5 | " in text
    assert text.endswith("Not finished:\n\n- job 2 (model.alpha=1): no memory\n")
    assert failures == ["job 2 (model.alpha=1): no memory"]
    with (folder / "table.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2 * 6
    assert (folder / "figure.png").stat().st_size > 5000


@pytest.fixture(autouse=True)
def failures(monkeypatch):
    """Failures that make a sweep end with exit code 2."""
    noted = []
    monkeypatch.setattr("pin_lightning.cli.ending.failed_jobs", noted)
    return noted


def test_a_sweep_of_which_nothing_is_left_fails(tmp_path, failures):
    hydra = {"sweep": {"dir": str(tmp_path)}, "overrides": {"task": []}}
    GatherJobs().close(OmegaConf.create({"hydra": hydra}))
    (failure,) = failures
    assert "no job has finished" in failure
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_reference_fails_after_the_jobs(sweep, failures):
    _, config = sweep
    config.summary.reference = "nope"
    GatherJobs().close(config)
    assert "summary.reference=nope" in failures[-1]


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("summary.published", {"PIN1": 3}, "error: summary.published="),
        ("hydra.sweeper._target_", f"{OPTUNA}optuna_sweeper.OptunaSweeper", CHOICE),
    ],
)
def test_what_cannot_be_closed_ends_before_the_jobs(sweep, capsys, setting, value, line):
    folder, config = sweep
    before = (folder / "multirun.yaml").read_text("utf-8")
    OmegaConf.update(config, setting, value, force_add=True)
    with pytest.raises(SystemExit) as stop:
        GatherJobs().on_multirun_start(config)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(line)
    assert (folder / "multirun.yaml").read_text("utf-8") == before


def test_a_choice_by_validation_cases_or_by_all_folds_is_taken(sweep):
    _, config = sweep
    OmegaConf.update(config, "hydra.sweeper._target_", OPTUNA, force_add=True)
    with pytest.raises(ValueError, match="no case validates"):
        check_choice(config)
    config.data.split.val_fraction = 0.2
    check_choice(config)
    folds = composed("data=phantom", config_name="cross_validate", with_hydra=True)
    OmegaConf.update(folds, "hydra.sweeper._target_", OPTUNA, force_add=True)
    check_choice(folds)


def test_jobs_of_an_earlier_sweep_in_the_folder_do_not_count(sweep):
    folder, config = sweep
    GatherJobs().close(config)
    before = (folder / "1" / "config.yaml").stat().st_mtime - 3600
    for name in ("config.yaml", "predictions.csv"):
        os.utime(folder / "1" / name, (before, before))
    GatherJobs().close(config)
    assert "model.alpha=0.5" not in (folder / "table.md").read_text("utf-8")


@pytest.mark.slow
def test_the_command_gathers_what_is_there(sweep):
    folder, _ = sweep
    result = run("-m", "pin_lightning.gather", f"sweep={folder}")
    assert result.returncode == 0, result.stderr
    assert "Alphas" in result.stdout
    assert (folder / "table.md").is_file()
    (folder / "multirun.yaml").unlink()
    result = run("-m", "pin_lightning.gather", f"sweep={folder}")
    assert result.returncode == 2
    assert "has no multirun.yaml" in result.stderr


@pytest.mark.parametrize("scale", ["", "_paper"])
@pytest.mark.parametrize("name", ["table1", "table2", "alpha"])
def test_experiments_are_sweeps(name, scale):
    config = composed("run_name=x", "run_dir=x", f"experiment={name}{scale}", with_hydra=True)
    assert config.hydra.mode.name == "MULTIRUN"
    assert config.hydra.sweep.dir.startswith(f"outputs/{name}{scale}/")
    assert config.trainer.max_steps == (100_000 if scale else 3000)
    assert list(config.data.source.size) == ([324, 207, 279] if scale else [108, 69, 93])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "scale"), [("table1", ""), ("table1", "_paper"), ("table2", "")])
def test_every_listed_job_is_a_training_of_a_method_of_the_paper(name, scale):
    common = ("run_name=x", "run_dir=x", f"experiment={name}{scale}")
    config = composed(*common, with_hydra=True)
    methods = set()
    for settings in config.hydra.sweeper.jobs:
        own = composed(*common, *settings)
        methods.add(own.method)
        if own.method == "agent":
            assert own.system._target_.endswith("Agent")
            assert own.model.landmarks == ["CSP"]
            continue
        assert own.update_rule._target_[-1] in "ABC"
        assert ("landmark" in own.model) == ("Identity" in own.shape._target_)
        assert own.network._target_.endswith("PaperNetwork" if scale else "CompactNetwork")
    assert methods == set(config.summary.published)
    assert config.summary.reference in methods


def test_the_alpha_sweep_covers_both_ends():
    config = composed("run_name=x", "run_dir=x", "experiment=alpha", with_hydra=True)
    values = [float(one) for one in config.hydra.sweeper.params["model.alpha"].split(",")]
    assert {0, 0.5, 1} <= set(values)
    assert config.summary.reference in [f"model.alpha={value:g}" for value in values]


@pytest.mark.slow
def test_a_job_that_fails_does_not_lose_the_others(short_settings, tmp_path):
    settings = [one for one in short_settings if not one.startswith("run_dir")]
    settings += ["trainer.max_steps=2", "trainer.val_check_interval=2"]
    sweep = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    result = run("train.py", "-m", *settings, sweep, "model.alpha=0.5,7")
    assert result.returncode == 2
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert error == "error: job 1 (model.alpha=7): model.alpha=7: give a weight between 0 and 1"
    assert error.split("): ")[1] in (tmp_path / "sweep" / "1" / "train.log").read_text("utf-8")
    text = (tmp_path / "sweep" / "table.md").read_text("utf-8")
    assert "model.alpha=0.5" in text
    assert sorted(path.name for path in (tmp_path / "sweep").glob("?")) == ["0", "1"]
    assert "- job 1 (model.alpha=7): " in text

import csv

import pytest
from pytorch_lightning.loggers import CSVLogger
from wandb_files import read_run

from conftest import composed
from pin_lightning.training.loggers import TrainingLog, experiment_loggers, keep_rows, name_group

DATA = ["data=folder", "data.root=unused", "run_name=short", "run_dir=unused"]


def test_a_csv_logger_is_always_there(tmp_path):
    with experiment_loggers(composed(*DATA), tmp_path) as loggers:
        assert [type(one) for one in loggers] == [TrainingLog]
        assert loggers[0].log_dir == str(tmp_path / "logs")


@pytest.mark.slow
def test_a_group_is_named_where_the_logger_knows_groups_and_none_was_asked_for():
    config = composed(*DATA, "logger=wandb")
    name_group(config, "sweep")
    assert (config.logger.group, config.logger.name) == ("sweep", "short")
    asked = composed(*DATA, "logger=wandb", "logger.group=mine")
    name_group(asked, "sweep")
    assert asked.logger.group == "mine"
    for option in ("csv", "tensorboard"):
        config = composed(*DATA, f"logger={option}")
        name_group(config, "sweep")
        assert "group" not in config.logger


@pytest.mark.slow
def test_a_run_that_fails_ends_as_failed_and_the_next_is_another(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")  # and as it was when the test is over
    config = composed(*DATA, "logger=wandb", "logger.tags=[one,two]")

    def fail():
        with experiment_loggers(config, tmp_path / "a") as loggers:
            loggers[1].log_metrics({"train/loss": 1.0}, step=0)
            raise KeyError("a defect")

    with pytest.raises(KeyError, match="a defect"):
        fail()
    with experiment_loggers(config, tmp_path / "b"):
        pass
    failed, good = (
        read_run(next((tmp_path / name / "wandb").glob("offline-run-*"))) for name in "ab"
    )
    assert (failed.exit_code, good.exit_code) == (1, 0)
    assert failed.info.run_id != good.info.run_id
    assert failed.history[0]["train/loss"] == 1.0
    assert list(failed.info.tags) == ["one", "two"]
    assert (failed.info.job_type, failed.info.run_group) == ("train", "")
    assert failed.config["model"]["alpha"] == config.model.alpha


def log_steps(logger, steps):
    for step in steps:
        logger.log_metrics({"loss": 1 / (step + 1)}, step=step)
        if step % 4 == 3:
            logger.log_metrics({"error_mm": float(step)}, step=step)
            logger.save()


def rows(folder):
    with (folder / "logs" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_writes_what_lightnings_own_writes(tmp_path):
    loggers = TrainingLog(tmp_path / "a"), CSVLogger(tmp_path / "b", name="", version="logs")
    for logger in loggers:
        log_steps(logger, range(8))
    first, second = (tmp_path / name / "logs" / "metrics.csv" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_log_that_goes_on_is_that_of_a_training_that_was_not_cut(tmp_path):
    log_steps(TrainingLog(tmp_path / "whole"), range(12))
    log_steps(TrainingLog(tmp_path / "cut"), range(8))
    log_steps(TrainingLog(tmp_path / "cut", first_step=6), range(6, 12))
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert [path.name for path in (tmp_path / "cut" / "logs").iterdir()] == ["metrics.csv"]


def test_a_name_that_was_not_logged_before_the_cut_gets_its_column(tmp_path):
    log_steps(TrainingLog(tmp_path / "whole"), range(8))
    first = TrainingLog(tmp_path / "cut")
    log_steps(first, range(3))
    first.save()
    log_steps(TrainingLog(tmp_path / "cut", first_step=2), range(2, 8))
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def test_nothing_of_an_earlier_training_stays_in_a_new_one(tmp_path):
    log_steps(TrainingLog(tmp_path), range(8))
    log_steps(TrainingLog(tmp_path), range(4))
    assert [row["step"] for row in rows(tmp_path)] == ["0", "1", "2", "3", "3"]


def test_a_row_that_a_kill_cut_off_is_not_kept(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"loss,step\r\n0.5,0\r\n0.4,1\r\n0.3,1")  # of step 12
    keep_rows(path, 5)
    assert path.read_bytes() == b"loss,step\r\n0.5,0\r\n0.4,1\r\n"
    keep_rows(path, 0)
    assert not path.exists()
    keep_rows(path, 3)
    assert not path.exists()

import pytest
from wandb_files import read_run

from conftest import composed
from pin_lightning.training.loggers import experiment_loggers, name_group
from pin_lightning.training.training_log import TrainingLog

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

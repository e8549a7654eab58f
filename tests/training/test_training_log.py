import csv

from pytorch_lightning.loggers import CSVLogger

from pin_lightning.training.training_log import TrainingLog, keep_rows


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

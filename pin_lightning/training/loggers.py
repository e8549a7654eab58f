"""Loggers of a training: a CSV file, which goes on at a checkpoint, and those of ``logger``."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment

from pin_lightning.common.files import whole_file
from pin_lightning.runs.folder import LOGS


@contextmanager
def experiment_loggers(
    config: DictConfig, run_dir: Path, first_step: int = 0
) -> Iterator[list[Logger]]:
    """Loggers of a training, open until the block ends.

    A W&B run then ends as finished, or as failed where the block raised, so that the next training
    of this process gets a run of its own.

    Args:
        config: Resolved settings, which the loggers keep.
        run_dir: The run folder.
        first_step: Steps that a checkpoint has done; the CSV file goes on from there.

    Raises:
        ValueError: W&B refuses to begin, as without an account.
    """
    loggers: list[Logger] = []
    try:
        loggers.extend(_loggers(config, run_dir, first_step))
        yield loggers
    except BaseException:
        _finish(loggers, exit_code=1)
        raise
    _finish(loggers, exit_code=0)


def name_group(config: DictConfig, group: str) -> None:
    """Say in a config which group its run belongs to, where the logger knows groups.

    A group that was asked for stays.

    Args:
        config: Changed in place.
        group: Name of the group: a sweep, or a cross-validation.
    """
    if config.logger is not None and "group" in config.logger and config.logger.group is None:
        config.logger.group = group


def _loggers(config: DictConfig, run_dir: Path, first_step: int) -> list[Logger]:
    loggers: list[Logger] = [TrainingLog(run_dir, first_step)]
    if config.logger is not None and config.logger.get("_target_"):
        extra = instantiate(config.logger, save_dir=str(run_dir), _convert_="all")
        loggers.append(extra)
        try:
            extra.log_hyperparams(OmegaConf.to_container(config, resolve=True))
        except Exception as error:
            if not isinstance(extra, WandbLogger):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"logger=wandb: {reason}; run wandb login, or give logger.offline=true"
            ) from error
    return loggers


def _finish(loggers: Sequence[Logger], exit_code: int) -> None:
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=exit_code)


class TrainingLog(CSVLogger):
    """Lightning's CSV logger, writing ``logs/metrics.csv`` of a run folder.

    Args:
        run_dir: The run folder.
        first_step: Steps that a checkpoint has done; rows of later ones are written anew.
    """

    def __init__(self, run_dir: Path, first_step: int = 0) -> None:
        super().__init__(run_dir, name="", version=LOGS)
        self.first_step = first_step

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """What writes the rows, made when first asked for."""
        if self._experiment is None:
            keep_rows(Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE, self.first_step)
            self._experiment = _RowWriter(self.log_dir)
        return self._experiment


class _RowWriter(ExperimentWriter):
    """Adds rows to those of before; Lightning's own begins a new file."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            self.metrics_keys = _read(path)[0]

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        _write(path, fieldnames, _read(path)[1])


def keep_rows(path: Path, first_step: int) -> None:
    """Keep the rows of a log of the steps before one.

    Args:
        path: The CSV file; it need not exist.
        first_step: The first step whose rows are removed, counted from 0.
    """
    if not path.is_file():
        return
    names, rows = _read(path)
    kept = [row for row in rows if int(row["step"]) < first_step]
    if kept:
        _write(path, names, kept)
    else:
        path.unlink()


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns and all rows; not the last, which was being written, without its end."""
    lines = path.read_bytes().decode("utf-8").splitlines(keepends=True)
    reader = csv.DictReader([line for line in lines if line.endswith("\n")])
    return list(reader.fieldnames or ()), list(reader)


def _write(path: Path, names: list[str], rows: list[dict[str, str]]) -> None:
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)

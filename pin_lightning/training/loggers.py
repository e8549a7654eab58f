"""Loggers of a training: a CSV file, which resumes at a checkpoint, and the one of ``logger``."""

import csv
from collections.abc import Iterator
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
    """Open the loggers of a training until the block ends.

    A W&B run then ends as finished, or as failed if the block raised, so that the next training of
    this process gets a run of its own.

    Args:
        config: Resolved settings, which the loggers keep.
        run_dir: The run folder.
        first_step: Completed steps of a checkpoint, from which the CSV file continues.

    Raises:
        ValueError: W&B refuses to begin, as without an account.
    """
    loggers: list[Logger] = []
    exit_code = 1
    try:
        loggers.extend(_loggers(config, run_dir, first_step))
        yield loggers
        exit_code = 0
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code=exit_code)


def name_group(config: DictConfig, group: str) -> None:
    """Set, in place, a sweep or cross-validation as the group of a run if its logger knows groups.

    A group that was asked for stays.
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


class TrainingLog(CSVLogger):
    """Lightning's CSV logger for ``logs/metrics.csv``, resuming at `first_step` of a checkpoint."""

    def __init__(self, run_dir: Path, first_step: int = 0) -> None:
        super().__init__(run_dir, name="", version=LOGS)
        self.first_step = first_step

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Writer of the rows, made on first use."""
        if self._experiment is None:
            keep_rows(Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE, self.first_step)
            self._experiment = _RowWriter(self.log_dir)
        return self._experiment


class _RowWriter(ExperimentWriter):
    """Append to the rows of before; Lightning's own writer begins a new file."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            self.metrics_keys = _read(path)[0]

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        _write(path, fieldnames, _read(path)[1])


def keep_rows(path: Path, first_step: int) -> None:
    """Remove the rows of `first_step`, counted from 0, and of later steps from a log, if any."""
    names, rows = _read(path) if path.is_file() else ([], [])
    kept = [row for row in rows if int(row["step"]) < first_step]
    if kept:
        _write(path, names, kept)
    else:
        path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read names of columns and rows, without a last line whose writing was interrupted."""
    lines = path.read_bytes().decode("utf-8").splitlines(keepends=True)
    reader = csv.DictReader([line for line in lines if line.endswith("\n")])
    return list(reader.fieldnames or ()), list(reader)


def _write(path: Path, names: list[str], rows: list[dict[str, str]]) -> None:
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)

"""Where a training logs to: always a CSV file, and what ``logger`` names beside it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger, WandbLogger

from pin_lightning.training.training_log import TrainingLog


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

"""Checks of strategy, devices and nodes, before anything is written."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.strategies import FSDPStrategy, ParallelStrategy, launchers
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from pin_lightning.common.precision import choose_precision
from pin_lightning.distributed.group import check_environment, is_one_of_several, strategy_name

_SETTINGS = ("accelerator", "devices", "num_nodes")


@dataclass(frozen=True)
class Several:
    """Several trainings by one command, such as "a sweep".

    Attributes:
        name: Their name in messages.
        within_process: Whether they share a process, as the folds of a cross-validation do.
    """

    name: str
    within_process: bool = False


def check_strategy(config: DictConfig, several: Several | None = None) -> None:
    """Check that Lightning can start the processes of a training, one of several or a single one.

    Raises:
        ValueError: A setting is wrong, such as a missing device; the message names it.
    """
    strategy = _strategy(config.trainer)
    if several is not None:
        _check_starting_again(config.trainer, strategy, several)
    if isinstance(strategy, FSDPStrategy):
        _check_sharding(config.model)
    if not isinstance(strategy, ParallelStrategy):
        if is_one_of_several():
            raise ValueError(
                f"{_said(config.trainer)}: one process trains, and several were started; give "
                "strategy=ddp, with trainer.devices and trainer.num_nodes"
            )
        return
    if isinstance(strategy.launcher, launchers._MultiProcessingLauncher) and is_one_of_several():
        raise ValueError(
            f"{_said(config.trainer)}: starts processes itself, and several were started; give "
            "strategy=ddp"
        )
    check_environment(_said(config.trainer), strategy, config.trainer.num_nodes)


def _check_starting_again(trainer: DictConfig, strategy: Any, several: Several) -> None:
    """Refuse processes that run the whole command line again, if it trains several times.

    Processes of torchrun or SLURM do so, too, if all trainings share a process.
    """
    if isinstance(getattr(strategy, "launcher", None), launchers._SubprocessScriptLauncher):
        started_by_others = strategy.cluster_environment.creates_processes_externally
        if several.within_process or not started_by_others:
            raise ValueError(
                f"{_said(trainer)}: starts the command line again for each process, which "
                f"{several.name} cannot; give strategy=ddp_spawn"
            )


def _strategy(trainer: DictConfig) -> Any:
    """The strategy that Lightning makes of the settings; ValueError if it refuses them.

    Only a whole Trainer checks them all, here before the data are read. Another Trainer trains, as
    loggers and callbacks are arguments of its constructor, new for each fold.
    """
    precision = choose_precision(trainer.precision, trainer.accelerator)
    settings = {"precision": precision, "logger": False, "enable_checkpointing": False}
    try:
        made: pl.Trainer = instantiate(trainer, **settings, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, MisconfigurationException | ValueError | RuntimeError):
            reason = " ".join(str(error.__cause__).split())
            raise ValueError(f"{_said(trainer)}: {reason}") from error
        raise
    return made.strategy


def _said(trainer: DictConfig) -> str:
    """The settings as given, for messages."""
    numbers = (f"trainer.{one}={trainer[one]}" for one in _SETTINGS)
    return " ".join([f"trainer.strategy={strategy_name(trainer.strategy)}", *numbers])


def _check_sharding(model: DictConfig) -> None:
    """Refuse settings that need all weights in each process."""
    if model.get("ema_decay") is not None:
        raise ValueError(
            f"model.ema_decay={model.ema_decay}: strategy=fsdp cannot average weights that are "
            "spread over processes; give model.ema_decay=null, or strategy=ddp"
        )
    if model.get("trajectory_share", 0) > 0:
        raise ValueError(
            f"model.trajectory_share={model.trajectory_share}: strategy=fsdp cannot follow a model "
            "that is spread over processes; give model.trajectory_share=0, or strategy=ddp"
        )

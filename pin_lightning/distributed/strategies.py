"""How many processes train, and what cannot work; refused before anything is written."""

from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.strategies import FSDPStrategy, ParallelStrategy
from pytorch_lightning.strategies.launchers import (
    _MultiProcessingLauncher,
    _SubprocessScriptLauncher,
)
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from pin_lightning.common.precision import choose_precision
from pin_lightning.distributed.group import check_environment, is_one_of_several, strategy_name

_SETTINGS = ("accelerator", "devices", "num_nodes")


def check_strategy(config: DictConfig) -> None:
    """Refuse processes that Lightning cannot have here.

    Args:
        config: Composed from `conf/train.yaml`.

    Raises:
        ValueError: A setting is wrong, such as a device that is not there; the message names it.
    """
    strategy = _strategy(config.trainer)
    if isinstance(strategy, FSDPStrategy):
        _check_sharding(config.model)
    if not isinstance(strategy, ParallelStrategy):
        if is_one_of_several():
            raise ValueError(
                f"{_said(config.trainer)}: one process trains, and several were started; give "
                "strategy=ddp, with trainer.devices and trainer.num_nodes"
            )
        return
    if isinstance(strategy.launcher, _MultiProcessingLauncher) and is_one_of_several():
        raise ValueError(
            f"{_said(config.trainer)}: starts processes itself, and several were started; give "
            "strategy=ddp"
        )
    check_environment(_said(config.trainer), strategy, config.trainer.num_nodes)


def refuse_starting_again(config: DictConfig, what: str, also_by_others: bool = False) -> None:
    """Refuse processes that begin with the command line where more than one training follows.

    Args:
        config: Composed from `conf/train.yaml`.
        what: What several trainings are called here.
        also_by_others: Whether processes that torchrun or SLURM start are refused, too.

    Raises:
        ValueError: Such a strategy is asked for.
    """
    strategy = _strategy(config.trainer)
    if isinstance(getattr(strategy, "launcher", None), _SubprocessScriptLauncher):
        started_by_others = strategy.cluster_environment.creates_processes_externally
        if also_by_others or not started_by_others:
            raise ValueError(
                f"{_said(config.trainer)}: starts the command line again for each process, which "
                f"{what} cannot; give strategy=ddp_spawn"
            )


def _strategy(trainer: DictConfig) -> Any:
    """The strategy that Lightning makes of the settings.

    Raises:
        ValueError: Lightning refuses them.
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
    """The settings as they were given."""
    numbers = (f"trainer.{one}={trainer[one]}" for one in _SETTINGS)
    return " ".join([f"trainer.strategy={strategy_name(trainer.strategy)}", *numbers])


def _check_sharding(model: DictConfig) -> None:
    """Refuse what needs all weights in each process."""
    if model.ema_decay is not None:
        raise ValueError(
            f"model.ema_decay={model.ema_decay}: strategy=fsdp cannot average weights that are "
            "spread over processes; give model.ema_decay=null, or strategy=ddp"
        )
    if model.trajectory_share > 0:
        raise ValueError(
            f"model.trajectory_share={model.trajectory_share}: strategy=fsdp cannot follow a model "
            "that is spread over processes; give model.trajectory_share=0, or strategy=ddp"
        )

"""The Lightning training of a module: callbacks, loggers, checkpoints."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, LearningRateMonitor
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher

from pin_lightning.common.precision import choose_precision, training_device
from pin_lightning.common.settings import check_count
from pin_lightning.distributed.group import ends_together, hush_lightning
from pin_lightning.distributed.spawn import SpawnedProcess, SpawningLauncher, passing_sigterm_on
from pin_lightning.runs.folder import CHECKPOINTS, LAST_CHECKPOINT
from pin_lightning.training.callbacks.averaging import AveragedWeights
from pin_lightning.training.callbacks.checkpoints import KeepBest, KeepLast, WholeCheckpoints
from pin_lightning.training.callbacks.progress import TrainingProgress
from pin_lightning.training.callbacks.stop_together import AskedToEnd
from pin_lightning.training.localizer_module import VALIDATION_ERROR, LocalizerModule
from pin_lightning.training.prepared import Prepared
from pin_lightning.training.samples.datamodule import LandmarkDataModule
from pin_lightning.training.samples.drawing import SampleDrawing

log = logging.getLogger(__name__)
hush_lightning()


def fit_module(
    config: DictConfig,
    run_dir: Path,
    prepared: Prepared,
    volumes: Mapping[str, Path],
    sampler: SampleDrawing,
    module: LocalizerModule,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
) -> None:
    """Train what localises, with checkpoints in the run folder.

    Args:
        config: Resolved settings.
        run_dir: The run folder.
        prepared: Parts that the data decide.
        volumes: Working volume files by case name.
        sampler: Makes the samples of a step.
        module: Trains and validates.
        callbacks: Those of `model_callbacks`.
        loggers: Loggers.
    """
    cases, loader = prepared.cases, instantiate(config.loader)
    settings = (cases["train"], prepared.shapes_mm, cases["val"], volumes, sampler, loader)
    datamodule = LandmarkDataModule(*settings)
    module.localizer.choose_dtype(training_device(config.trainer.accelerator))
    callbacks = [*callbacks, *_callbacks(run_dir, config, bool(datamodule.val))]
    run_trainer(config.trainer, run_dir, module, datamodule, callbacks, loggers, config.ckpt_path)


def model_callbacks(
    config: DictConfig, validates: bool, following: Sequence[Callback] = ()
) -> list[Callback]:
    """Make the callbacks of the settings of ``model``.

    Args:
        config: Resolved settings.
        validates: Whether there are validation cases.
        following: Callbacks that come after averaged weights, which they then see.

    Raises:
        ValueError: A setting is wrong.
    """
    model, callbacks = config.model, list[Callback]()
    if model.ema_decay is not None:
        callbacks.append(AveragedWeights(model.ema_decay))
    callbacks.extend(following)
    if model.patience is not None:
        check_count("model.patience", model.patience)
        if not validates:
            raise ValueError(
                f"model.patience={model.patience}: needs validation cases; "
                f"raise data.split.val_fraction, or give model.patience=null"
            )
        callbacks.append(EarlyStopping(VALIDATION_ERROR, patience=model.patience))
    return callbacks


def run_trainer(
    settings: DictConfig,
    folder: Path,
    module: pl.LightningModule,
    datamodule: pl.LightningDataModule,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    checkpoint: str | Path | None,
) -> None:
    """Train a module by Lightning's trainer, from a checkpoint if one is given."""
    datamodule.train_dataloader()  # refuses a wrong setting before other processes start
    precision = choose_precision(settings.precision, settings.accelerator)
    log.info("trainer.precision=%s", precision)
    # Deterministic algorithms without filling memory that is overwritten anyway.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    trainer: pl.Trainer = instantiate(
        settings,
        precision=precision,
        logger=list(loggers),
        callbacks=list(callbacks),
        plugins=[WholeCheckpoints()],
        default_root_dir=folder,
        _convert_="all",
    )
    with _together(trainer):
        trainer.fit(module, datamodule, ckpt_path=checkpoint, weights_only=True)


@contextmanager
def _together(trainer: pl.Trainer) -> Iterator[None]:
    """Let all processes train in the block, if there are several, and end together."""
    strategy: Any = trainer.strategy
    spawns = isinstance(strategy.launcher, _MultiProcessingLauncher)
    if spawns:
        strategy._launcher = SpawningLauncher(strategy, strategy.launcher._start_method)
    with ExitStack() as stack:
        stack.enter_context(ends_together(strategy.launcher))
        if spawns:
            spawned = SpawnedProcess(strategy.num_processes)
            trainer.callbacks.insert(0, spawned)  # type: ignore[attr-defined]
            stack.enter_context(spawned.heard())
            stack.enter_context(passing_sigterm_on())
        yield


def _callbacks(run_dir: Path, config: DictConfig, validates: bool) -> list[Callback]:
    progress = TrainingProgress(config.trainer.log_every_n_steps)
    callbacks: list[Callback] = [AskedToEnd(), progress, LearningRateMonitor("step")]
    if validates:
        callbacks.append(KeepBest(run_dir / CHECKPOINTS, VALIDATION_ERROR))
    every = config.checkpoint.every_steps or config.trainer.val_check_interval
    return [*callbacks, KeepLast(run_dir / LAST_CHECKPOINT, every)]

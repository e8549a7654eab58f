"""The Lightning training of a plan: loader, module, loggers, checkpoints."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, LearningRateMonitor
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher

from pin_lightning.common.precision import choose_precision, training_device
from pin_lightning.distributed.group import ends_together, hush_lightning
from pin_lightning.distributed.spawn import SpawnedProcess, SpawningLauncher, passing_sigterm_on
from pin_lightning.runs.folder import CHECKPOINTS, LAST_CHECKPOINT
from pin_lightning.training.callbacks.checkpoints import KeepBest, KeepLast, WholeCheckpoints
from pin_lightning.training.callbacks.progress import TrainingProgress
from pin_lightning.training.callbacks.stop_together import AskedToEnd
from pin_lightning.training.module import VALIDATION_ERROR, PINModule
from pin_lightning.training.plan import Plan
from pin_lightning.training.samples.datamodule import LandmarkDataModule
from pin_lightning.training.samples.sampler import ShapePatchSampler

log = logging.getLogger(__name__)
hush_lightning()


def fit(
    config: DictConfig,
    run_dir: Path,
    plan: Plan,
    volumes: Mapping[str, Path],
    loggers: Sequence[Logger],
) -> None:
    """Train the plan's network; what only the training needs ends here."""
    localizer, prepared = plan.localizer, plan.prepared
    sampler = ShapePatchSampler(
        localizer.shape_model,
        localizer.grid,
        localizer.patch_side,
        localizer.interpolation,
        plan.sampling,
        plan.augmentation,
        config.seed,
        localizer.patch_spacings,
    )
    cases, shapes_mm = prepared.cases, prepared.shapes_mm
    loader = instantiate(config.loader)
    datamodule = LandmarkDataModule(
        cases["train"], shapes_mm, cases["val"], volumes, sampler, loader
    )
    module = PINModule(
        localizer,
        config.model.alpha,
        instantiate(config.model.optimizer),
        instantiate(config.model.scheduler),
        prepared.parts.displacement_loss,
        all_known=bool(torch.isfinite(shapes_mm).all()),
        names=prepared.record.names,
    )
    localizer.choose_dtype(training_device(config.trainer.accelerator))
    callbacks = [*plan.callbacks, *_callbacks(run_dir, config, bool(datamodule.val))]
    run_trainer(config.trainer, run_dir, module, datamodule, callbacks, loggers, config.ckpt_path)


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

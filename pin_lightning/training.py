"""From a config to a trained, evaluated run folder."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger

from pin_lightning.cases import Case, landmark_names, split_cases
from pin_lightning.data.datamodule import AnnotatedCase, LandmarkDataModule, annotate
from pin_lightning.data.sampler import ShapePatchSampler
from pin_lightning.entry import refuse_missing
from pin_lightning.geometry import Grid
from pin_lightning.module import VALIDATION_ERROR, PINModule
from pin_lightning.patches import default_patch_side
from pin_lightning.predictor import Predictor
from pin_lightning.preprocessing import read_header, suggest_grid
from pin_lightning.progress import TrainingProgress
from pin_lightning.report import report
from pin_lightning.run_folder import (
    CHECKPOINTS,
    LOGS,
    RunRecord,
    best_checkpoint,
    build_localizer,
    load_weights,
    read_checkpoint,
    write_run,
)

log = logging.getLogger(__name__)
# Lightning's own remarks: advertisements, and the length of an epoch, which plays no role here.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", ".*LeafSpec.*")
warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
warnings.filterwarnings("ignore", ".*does not have many workers.*")
warnings.filterwarnings("ignore", ".*Total length of `list` across ranks is zero.*")


def train(config: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Train, evaluate on the held-out cases, and leave a self-contained run folder.

    Args:
        config: Composed from `conf/train.yaml`; what is null is filled in from the data.
        run_dir: Where the run is written.

    Returns:
        The contents of `metrics.json`.

    Raises:
        ValueError: A setting or a data file is wrong; the message names it.
    """
    refuse_missing(config)
    if config.ckpt_path is not None:
        read_checkpoint(Path(config.ckpt_path))  # refuses what is damaged or holds code
    pl.seed_everything(config.seed, workers=True, verbose=False)
    config = config.copy()
    config.run_dir = str(run_dir)  # in a sweep it is the folder of the job
    cases = instantiate(config.data.source)
    names = _choose_landmarks(landmark_names(cases), config.model.landmarks)
    split = split_cases([case.name for case in cases], **config.data.split)
    grid = _fill_in_from_data(config, cases)
    annotated = [annotate(case, names, grid) for case in cases]
    shape_model = instantiate(config.shape).fit(_shapes_mm(annotated, split.train), grid.extent_mm)
    localizer = build_localizer(config, shape_model, grid, len(names), shape_model.num_parameters)
    # Wrong settings are refused now rather than at the first validation.
    localizer.unit_mm(), localizer.starts()
    write_run(run_dir, config, RunRecord(names, grid, shape_model.num_parameters, split))
    log.info(
        "%d landmarks, %d shape parameters; %d training, %d validation and %d test cases",
        *(len(names), shape_model.num_parameters),
        *(len(split.train), len(split.val), len(split.test)),
    )
    sampler = ShapePatchSampler(
        shape_model,
        grid,
        localizer.patch_side,
        localizer.interpolation,
        config.model.approach_fraction,
        instantiate(config.augmentation),
        config.seed,
    )
    datamodule = LandmarkDataModule(
        annotated, split, grid, Path(config.data.cache_dir), sampler, instantiate(config.loader)
    )
    module = PINModule(
        localizer,
        config.model.alpha,
        instantiate(config.model.optimizer),
        instantiate(config.model.scheduler),
    )
    _fit(config, run_dir, module, datamodule)
    load_weights(localizer, best_checkpoint(run_dir))
    parts = {
        part: datamodule.select(members)
        for part, members in (("val", split.val), ("test", split.test))
        if members
    }
    return report(run_dir, Predictor(localizer, names), parts)


def _choose_landmarks(found: tuple[str, ...], wanted: Sequence[str] | None) -> tuple[str, ...]:
    if wanted is None:
        return found
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise ValueError(
            f"model.landmarks={list(wanted)}: the data has no {unknown}, it has {list(found)}"
        )
    return tuple(wanted)


def _fill_in_from_data(config: DictConfig, cases: Sequence[Case]) -> Grid:
    """Working grid and patch side, from the settings or else from the data; written to config."""
    data, model = config.data, config.model
    size = None if data.grid_size is None else tuple(data.grid_size)
    grid = suggest_grid([read_header(case.image) for case in cases], data.spacing_mm, size)
    chosen = {
        "data.spacing_mm": grid.spacing_mm,
        "data.grid_size": list(grid.size),
        "model.patch_side": default_patch_side(grid.size),
    }
    for key, value in chosen.items():
        if OmegaConf.select(config, key) is None:
            OmegaConf.update(config, key, value)
            log.info("%s=%s (from the data)", key, value)
    log.info("working volumes of %s voxels of %s mm", grid.size, grid.spacing_mm)
    log.info("patches of %d voxels, %s", model.patch_side, model.interpolation)
    return grid


def _shapes_mm(cases: Sequence[AnnotatedCase], members: Sequence[str]) -> torch.Tensor:
    return torch.stack([case.landmarks_mm for case in cases if case.case.name in members])


def _fit(
    config: DictConfig, run_dir: Path, module: PINModule, datamodule: LandmarkDataModule
) -> None:
    trainer: pl.Trainer = instantiate(
        config.trainer,
        logger=_loggers(config, run_dir),
        callbacks=_callbacks(run_dir, config.trainer, bool(datamodule.split.val)),
        default_root_dir=run_dir,
        _convert_="all",
    )
    trainer.fit(module, datamodule, ckpt_path=config.ckpt_path, weights_only=True)
    trainer.save_checkpoint(run_dir / CHECKPOINTS / "last.ckpt", weights_only=False)


def _loggers(config: DictConfig, run_dir: Path) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(run_dir, name="", version=LOGS)]
    if config.logger is not None and config.logger.get("_target_"):
        extra = instantiate(config.logger, save_dir=str(run_dir))
        extra.log_hyperparams(OmegaConf.to_container(config, resolve=True))
        loggers.append(extra)
    return loggers


def _callbacks(run_dir: Path, trainer: DictConfig, validates: bool) -> list[Callback]:
    """Progress bar, and the checkpoints: `last` always, `best` by the localisation error."""
    folder = run_dir / CHECKPOINTS
    every = trainer.val_check_interval
    last = ModelCheckpoint(
        folder, filename="last", every_n_train_steps=every, enable_version_counter=False
    )
    progress = TrainingProgress(trainer.log_every_n_steps)
    callbacks: list[Callback] = [progress, LearningRateMonitor("step"), last]
    if validates:
        best = ModelCheckpoint(
            folder, filename="best", monitor=VALIDATION_ERROR, enable_version_counter=False
        )
        callbacks.append(best)
    return callbacks

"""From a config to a trained, evaluated run folder."""

import gc
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger

from pin_lightning.augmentation import Augmentation
from pin_lightning.averaging import AveragedWeights
from pin_lightning.data.datamodule import LandmarkDataModule
from pin_lightning.data.sampler import ShapePatchSampler
from pin_lightning.data.sampling import Sampling
from pin_lightning.entry import refuse_missing
from pin_lightning.geometry import Grid
from pin_lightning.inspection import AnnotatedCase
from pin_lightning.localizer import Localizer
from pin_lightning.losses import DisplacementLoss
from pin_lightning.module import VALIDATION_ERROR, PINModule
from pin_lightning.patches import default_patch_side
from pin_lightning.precision import NETWORK_DTYPES, choose_precision
from pin_lightning.predictor import Predictor
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
from pin_lightning.shape_completion import complete_shapes
from pin_lightning.shape_models import ShapeModel
from pin_lightning.shared_network import check_network
from pin_lightning.splits import Split, split_cases
from pin_lightning.survey import Survey, survey
from pin_lightning.types import Float, Tensor

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
    return train_surveyed(*survey_data(config), run_dir)


def survey_data(config: DictConfig) -> tuple[DictConfig, Survey]:
    """Read and check the data of a training, or of several that share them.

    Returns:
        A config in which what the data decides is filled in, and the data.

    Raises:
        ValueError: A setting or a data file is wrong; the message names it.
    """
    refuse_missing(config)
    if config.ckpt_path is not None:
        read_checkpoint(Path(config.ckpt_path))  # refuses what is damaged or holds code
    config = config.copy()
    surveyed = _survey(config)
    surveyed.refuse_errors()
    return config, surveyed


def train_surveyed(config: DictConfig, surveyed: Survey, run_dir: Path) -> dict[str, Any]:
    """`train` on data that were read already, with the config that came with them."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    config = config.copy()
    config.run_dir = str(run_dir)  # in a sweep it is the folder of the job
    plan = plan_run(config, surveyed)
    parts, record = plan.parts, plan.record
    write_run(run_dir, config, record)
    log.info(
        "%d landmarks, %d shape parameters; %d training, %d validation and %d test cases",
        *(len(record.names), record.num_parameters, *map(len, parts.values())),
    )
    _fit(config, run_dir, plan, surveyed.volumes)
    gc.collect()  # trainer and module hold one another, and with them the volumes
    load_weights(plan.localizer, best_checkpoint(run_dir))
    evaluated = {part: parts[part] for part in ("val", "test") if parts[part]}
    return report(run_dir, Predictor(plan.localizer, record.names), evaluated)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a training begins with.

    Attributes:
        record: What the data decided.
        parts: Cases that train, validate and test.
        shapes_mm: Landmarks of the training cases.
        localizer: With a fitted shape model and fresh weights.
        augmentation: Of the training samples.
        sampling: Where they lie.
        displacement_loss: The displacement term of the loss.
        averaging: Keeps averaged weights, where asked for.
    """

    record: RunRecord
    parts: Mapping[str, Sequence[AnnotatedCase]]
    shapes_mm: Float[Tensor, "M L 3"]
    localizer: Localizer
    augmentation: Augmentation
    sampling: Sampling
    displacement_loss: DisplacementLoss
    averaging: AveragedWeights | None


def plan_run(config: DictConfig, surveyed: Survey) -> Plan:
    """Split the cases, fit the shape model and make the network; nothing is written.

    Raises:
        ValueError: A setting is wrong; the message names it.
    """
    parts = _split(config, surveyed)
    shapes_mm = training_shapes(parts["train"], surveyed.names)
    shape_model = instantiate(config.shape).fit(shapes_mm, surveyed.grid.extent_mm)
    grid, names = surveyed.grid, surveyed.names
    augmentation = instantiate(config.augmentation).for_landmarks(names, config.data.mirror_pairs)
    prior = _fit_prior(config, shapes_mm, grid)
    sizes = (len(names), shape_model.num_parameters)
    localizer = build_localizer(config, shape_model, grid, *sizes, prior)
    check_network(localizer.network, shape_model)
    # Wrong settings are refused now rather than at the first validation.
    localizer.unit_mm(), localizer.starts()
    split = Split(**{part: tuple(one.case.name for one in parts[part]) for part in parts})
    record = RunRecord(names, grid, shape_model.num_parameters, split)
    sampling, loss = instantiate(config.sampling), instantiate(config.displacement_loss)
    _check_loss(loss, sampling)
    decay = config.model.ema_decay
    averaging = None if decay is None else AveragedWeights(decay)
    return Plan(record, parts, shapes_mm, localizer, augmentation, sampling, loss, averaging)


def _fit_prior(
    config: DictConfig, shapes_mm: Float[Tensor, "M L 3"], grid: Grid
) -> ShapeModel | None:
    prior = instantiate(config.model.prior)
    try:
        return None if prior is None else prior.fit(shapes_mm, grid.extent_mm)
    except ValueError as error:
        raise ValueError(f"model.prior: {error}") from error


def _check_loss(loss: DisplacementLoss, sampling: Sampling) -> None:
    """Refuse a loss that needs what the sampling does not know."""
    if loss.needs_scale and not sampling.knows_scale:
        raise ValueError(
            "displacement_loss=relative: needs sampling=scatter, which knows how far from the "
            "truth samples are; give that, or displacement_loss=mse"
        )


def _survey(config: DictConfig) -> Survey:
    """Read and check the data; the working grid that it decides is written to the config."""
    data, model = config.data, config.model
    surveyed = survey(
        instantiate(data.source),
        Path(data.cache_dir),
        None if model.landmarks is None else list(model.landmarks),
        data.spacing_mm,
        None if data.grid_size is None else list(data.grid_size),
    )
    grid = surveyed.grid
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
    for finding in surveyed.findings:
        if finding.level == "warning":
            log.warning("%s", finding)
    return surveyed


def _split(config: DictConfig, surveyed: Survey) -> dict[str, list[AnnotatedCase]]:
    """Cases of each part; a case without any of the landmarks is named and left out."""
    cases = {one.case.name: one for one in surveyed.cases}
    settings: Any = OmegaConf.to_container(config.data.split, resolve=True)
    subjects = {name: one.case.subject for name, one in cases.items()}
    split = split_cases(subjects, **settings)
    bare = sorted(name for name, one in cases.items() if not one.landmarks.defined.any())
    if bare:
        log.warning("none of the landmarks in %s: left out", ", ".join(bare))
    return {
        part: [cases[name] for name in members if name not in bare]
        for part, members in asdict(split).items()
    }


def training_shapes(cases: Sequence[AnnotatedCase], names: Sequence[str]) -> Float[Tensor, "M L 3"]:
    """Landmarks of the training cases in grid mm, missing ones filled in (`complete_shapes`).

    Raises:
        ValueError: There is no case, or a landmark is missing from all of them.
    """
    if not cases:
        raise ValueError("data.split: no training case has any of the landmarks")
    shapes_mm = torch.stack([case.landmarks_mm for case in cases])
    defined = torch.isfinite(shapes_mm).all(dim=2)
    lacking = [name for name, has in zip(names, defined.any(dim=0), strict=True) if not has]
    if lacking:
        raise ValueError(
            f"data.split: no training case has {', '.join(lacking)}; "
            f"split otherwise, or leave it out of model.landmarks"
        )
    if not defined.all():
        log.info("%d of %d training landmarks filled in", (~defined).sum(), defined.numel())
    return torch.from_numpy(complete_shapes(shapes_mm.double().numpy())).float()


def _fit(config: DictConfig, run_dir: Path, plan: Plan, volumes: Mapping[str, Path]) -> None:
    """Train the plan's network; all that only the training needs ends here."""
    localizer, parts = plan.localizer, plan.parts
    sampler = ShapePatchSampler(
        localizer.shape_model,
        localizer.grid,
        localizer.patch_side,
        localizer.interpolation,
        plan.sampling,
        plan.augmentation,
        config.seed,
        patch_spacings=localizer.patch_spacings,
    )
    loader = instantiate(config.loader)
    datamodule = LandmarkDataModule(
        parts["train"], plan.shapes_mm, parts["val"], volumes, sampler, loader
    )
    module = PINModule(
        localizer,
        config.model.alpha,
        instantiate(config.model.optimizer),
        instantiate(config.model.scheduler),
        plan.displacement_loss,
    )
    precision = choose_precision(config.trainer.precision, config.trainer.accelerator)
    log.info("trainer.precision=%s", precision)
    localizer.network_dtype = NETWORK_DTYPES[precision]
    # Deterministic algorithms, but without writing to memory that is written to anyway.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    trainer: pl.Trainer = instantiate(
        config.trainer,
        precision=precision,
        logger=_loggers(config, run_dir),
        callbacks=_callbacks(run_dir, config.trainer, bool(datamodule.val), plan.averaging),
        default_root_dir=run_dir,
        _convert_="all",
    )
    trainer.fit(module, datamodule, ckpt_path=config.ckpt_path, weights_only=True)
    trainer.save_checkpoint(run_dir / CHECKPOINTS / "last.ckpt", weights_only=False)
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.finish()  # or the next training of this process would log into the same run


def _loggers(config: DictConfig, run_dir: Path) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(run_dir, name="", version=LOGS)]
    if config.logger is not None and config.logger.get("_target_"):
        extra = instantiate(config.logger, save_dir=str(run_dir))
        extra.log_hyperparams(OmegaConf.to_container(config, resolve=True))
        loggers.append(extra)
    return loggers


def _callbacks(
    run_dir: Path, trainer: DictConfig, validates: bool, averaging: AveragedWeights | None
) -> list[Callback]:
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
    return callbacks if averaging is None else [averaging, *callbacks]

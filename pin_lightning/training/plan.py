"""What a training begins with: split, training shapes, shape model, network; nothing is written."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, EarlyStopping

from pin_lightning.common.geometry import Grid
from pin_lightning.common.settings import check_count
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.splits import Split, split_cases
from pin_lightning.data.survey import Survey
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.losses import DisplacementLoss
from pin_lightning.method.sampling import OnTrajectories, Sampling
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.shape_models.completion import complete_shapes
from pin_lightning.runs.folder import RunRecord
from pin_lightning.runs.model import build_localizer
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.callbacks.averaging import AveragedWeights
from pin_lightning.training.callbacks.trajectories import FollowTrajectories
from pin_lightning.training.first_stage import first_stage_folder, load_first_stage
from pin_lightning.training.module import VALIDATION_ERROR

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a training begins with.

    Attributes:
        record: What the data decided.
        parts: Cases that train, validate and test.
        shapes_mm: Landmarks of the training cases. Missing ones are NaN where landmarks move by
            themselves, and filled in where they move together: a shape has all its landmarks.
        localizer: With a fitted shape model and fresh weights.
        augmentation: Of the training samples.
        sampling: Where they lie.
        displacement_loss: The displacement term of the loss.
        first_stage: Run folder of the first stage, where there is one.
        callbacks: What the settings of the model ask for while it trains.
    """

    record: RunRecord
    parts: Mapping[str, Sequence[AnnotatedCase]]
    shapes_mm: Float[Tensor, "M L 3"]
    localizer: Localizer
    augmentation: Augmentation
    sampling: Sampling
    displacement_loss: DisplacementLoss
    first_stage: Path | None
    callbacks: Sequence[Callback]


def check_steps(config: DictConfig) -> None:
    """Refuse what Lightning would take for a time, for a share of an epoch or for epochs.

    Raises:
        ValueError: The message names the setting.
    """
    trainer, every = config.trainer, config.checkpoint.every_steps
    check_count("trainer.val_check_interval", trainer.val_check_interval)
    if every is not None:
        check_count("checkpoint.every_steps", every)
    if trainer.check_val_every_n_epoch is not None:
        raise ValueError(
            f"trainer.check_val_every_n_epoch={trainer.check_val_every_n_epoch}: epochs play no "
            f"role; give null, and trainer.val_check_interval in steps"
        )


def plan_run(config: DictConfig, surveyed: Survey) -> Plan:
    """Split the cases, fit the shape model and make the network; nothing is written.

    Raises:
        ValueError: A setting is wrong; the message names it.
    """
    parts = _split(config, surveyed)
    shapes_mm = training_shapes(parts["train"], surveyed.names)
    shape_model = instantiate(config.shape).fit(shapes_mm, surveyed.grid.extent_mm)
    if shape_model.num_groups > 1:
        samples_mm = torch.stack([case.landmarks_mm for case in parts["train"]])
    else:
        samples_mm = shapes_mm
    grid, names = surveyed.grid, surveyed.names
    augmentation = instantiate(config.augmentation).for_landmarks(names, config.data.mirror_pairs)
    prior = _fit_prior(config, shapes_mm, grid)
    split = Split(**{part: tuple(one.case.name for one in parts[part]) for part in parts})
    record = RunRecord(names, grid, shape_model.num_parameters, split)
    folder = first_stage_folder(config)
    first_stage = None if folder is None else load_first_stage(folder, record)
    sizes = (len(names), shape_model.num_parameters)
    localizer = build_localizer(config, shape_model, grid, *sizes, prior, first_stage)
    # Wrong settings are refused now rather than at the first validation.
    localizer.unit_mm(), localizer.starts()
    sampling, loss = _sampling(config), instantiate(config.displacement_loss)
    callbacks = _callbacks(config, sampling, bool(parts["val"]))
    return Plan(
        record, parts, samples_mm, localizer, augmentation, sampling, loss, folder, callbacks
    )


def _fit_prior(
    config: DictConfig, shapes_mm: Float[Tensor, "M L 3"], grid: Grid
) -> ShapeModel | None:
    prior = instantiate(config.model.prior)
    try:
        return None if prior is None else prior.fit(shapes_mm, grid.extent_mm)
    except ValueError as error:
        raise ValueError(f"model.prior: {error}") from error


def _sampling(config: DictConfig) -> Sampling:
    sampling: Sampling = instantiate(config.sampling)
    share = config.model.trajectory_share
    return sampling if share == 0 else OnTrajectories(sampling, share)


def _callbacks(config: DictConfig, sampling: Sampling, validates: bool) -> list[Callback]:
    """Averaged weights first: what follows sees them in validation."""
    model, callbacks = config.model, list[Callback]()
    if model.ema_decay is not None:
        callbacks.append(AveragedWeights(model.ema_decay))
    if isinstance(sampling, OnTrajectories):
        callbacks.append(FollowTrajectories(sampling, model.trajectory_every, config.seed))
    if model.patience is not None:
        callbacks.append(_early_stopping(model.patience, validates))
    return callbacks


def _early_stopping(patience: Any, validates: bool) -> EarlyStopping:
    check_count("model.patience", patience)
    if not validates:
        raise ValueError(
            f"model.patience={patience}: needs validation cases; "
            f"raise data.split.val_fraction, or give model.patience=null"
        )
    return EarlyStopping(VALIDATION_ERROR, patience=patience)


def _split(config: DictConfig, surveyed: Survey) -> dict[str, list[AnnotatedCase]]:
    """Cases of each part; a case without any of the landmarks is named and left out."""
    cases = {one.case.name: one for one in surveyed.cases}
    settings: Any = OmegaConf.to_container(config.data.split, resolve=True)
    subjects = {name: one.case.subject for name, one in cases.items()}
    split = split_cases(subjects, **settings, skipped=surveyed.skipped)
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

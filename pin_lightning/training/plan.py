"""Preparation of a training in memory: split, training shapes, shape model, network.

`prepare_run` draws no random numbers, so that all folds are prepared before the first is trained.
`plan_run` adds the network, with the weights of the seed.
"""

import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, EarlyStopping

from pin_lightning.common.settings import check_count
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.splits import Split, split_cases
from pin_lightning.data.survey import Survey
from pin_lightning.data.usual_images import Traits, UsualImages
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.sampling import OnTrajectories, Sampling
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.shape_models.completion import complete_shapes
from pin_lightning.method.targets import displacement_unit
from pin_lightning.runs.folder import RunRecord
from pin_lightning.runs.model import build_localizer, load_localizer
from pin_lightning.runs.model_record import ModelRecord
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.callbacks.averaging import AveragedWeights
from pin_lightning.training.callbacks.trajectories import FollowTrajectories
from pin_lightning.training.combinations import Parts
from pin_lightning.training.first_stage import check_first_stage, first_stage_folder
from pin_lightning.training.module import VALIDATION_ERROR
from pin_lightning.training.pose.choice import check_reused
from pin_lightning.training.prior import fit_prior

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Parts of a training that the data decide.

    Attributes:
        record: Record for the run folder.
        cases: Cases of the parts ``train``, ``val`` and ``test``.
        shapes_mm: Landmarks of the training cases. Missing ones are NaN if landmarks move by
            themselves, and filled in if they move together: a shape has all its landmarks.
        shape_model: Fitted shape model.
        prior: Fitted prior, if any.
        first_stage: Run folder of the first stage, if any.
        parts: Parts of the config.
    """

    record: RunRecord
    cases: Mapping[str, Sequence[AnnotatedCase]]
    shapes_mm: Float[Tensor, "M L 3"]
    shape_model: ShapeModel
    prior: ShapeModel | None
    first_stage: Path | None
    parts: Parts


@dataclass(frozen=True, eq=False)
class Plan:
    """A prepared training with its network.

    Attributes:
        prepared: Parts that the data decide.
        localizer: Localizer with a fitted shape model and fresh weights.
        augmentation: Augmentation of these landmarks.
        sampling: Sampling, on trajectories if asked for.
        callbacks: Callbacks for the settings of the model.
    """

    prepared: Prepared
    localizer: Localizer
    augmentation: Augmentation
    sampling: Sampling
    callbacks: Sequence[Callback]


def check_steps(config: DictConfig) -> None:
    """Raise a ValueError for steps that Lightning would take for a time or a share of an epoch."""
    trainer, every = config.trainer, config.checkpoint.every_steps
    check_count("trainer.val_check_interval", trainer.val_check_interval)
    if every is not None:
        check_count("checkpoint.every_steps", every)
    if trainer.check_val_every_n_epoch is not None:
        raise ValueError(
            f"trainer.check_val_every_n_epoch={trainer.check_val_every_n_epoch}: epochs play no "
            f"role; give null, and trainer.val_check_interval in steps"
        )


def prepare_run(config: DictConfig, surveyed: Survey, parts: Parts) -> Prepared:
    """Split the cases and fit the shape models; nothing is written, and no random number drawn.

    In the config, `model.prior` is set to the prior that is fitted (`fit_prior`).

    Raises:
        ValueError: A setting is wrong; the message names it.
    """
    cases = _split(config, surveyed)
    grid, names = surveyed.grid, surveyed.names
    shapes_mm = training_shapes(cases["train"], names)
    shape_model = deepcopy(parts.shape).fit(shapes_mm, grid.extent_mm)
    prior = fit_prior(config, parts.prior, shapes_mm, grid.extent_mm)
    split = Split(**{part: tuple(one.case.name for one in cases[part]) for part in cases})
    usual = UsualImages.of([_traits(surveyed.volumes[name]) for name in split.train])
    record = RunRecord(names, grid, shape_model.num_parameters, split, surveyed.window, usual)
    folder = first_stage_folder(config)
    if folder is not None:
        check_first_stage(folder, record)
    check_reused(config, split)
    if shape_model.num_groups > 1:
        shapes_mm = torch.stack([case.landmarks_mm for case in cases["train"]])
    # Wrong settings are refused now rather than at the first validation.
    displacement_unit(config.model.displacement_unit, shape_model.sd_, grid.spacing_mm)
    shape_model.starts(config.model.num_starts, torch.Generator())
    return Prepared(record, cases, shapes_mm, shape_model, prior, folder, parts)


def plan_run(config: DictConfig, prepared: Prepared) -> Plan:
    """Make the network and draw its weights; nothing is written.

    Raises:
        ValueError: A setting is wrong; the message names it.
    """
    record, parts, folder = prepared.record, prepared.parts, prepared.first_stage
    augmentation = parts.augmentation.for_landmarks(record.names, config.data.mirror_pairs)
    localizer = build_localizer(
        ModelRecord.of_config(config),
        prepared.shape_model,
        record.grid,
        len(record.names),
        record.num_parameters,
        prepared.prior,
        None if folder is None else load_localizer(folder, config.trust_run)[0],
        parts.update_rule,
        trust_run=True,  # of the user's own command line
    )
    share = config.model.trajectory_share
    sampling = parts.sampling if share == 0 else OnTrajectories(parts.sampling, share)
    callbacks = _callbacks(config, sampling, bool(prepared.cases["val"]))
    return Plan(prepared, localizer, augmentation, sampling, callbacks)


def _callbacks(config: DictConfig, sampling: Sampling, validates: bool) -> list[Callback]:
    """Make the callbacks, averaged weights first: those that follow see them in validation."""
    model, callbacks = config.model, list[Callback]()
    if model.ema_decay is not None:
        callbacks.append(AveragedWeights(model.ema_decay))
    if isinstance(sampling, OnTrajectories):
        callbacks.append(FollowTrajectories(sampling, model.trajectory_every, config.seed))
    if model.patience is not None:
        check_count("model.patience", model.patience)
        if not validates:
            raise ValueError(
                f"model.patience={model.patience}: needs validation cases; "
                f"raise data.split.val_fraction, or give model.patience=null"
            )
        callbacks.append(EarlyStopping(VALIDATION_ERROR, patience=model.patience))
    return callbacks


@lru_cache(maxsize=2**14)  # for all folds
def _traits(path: Path) -> Traits:
    return Traits.of(load_volume(path))


def _split(config: DictConfig, surveyed: Survey) -> dict[str, list[AnnotatedCase]]:
    """Split the cases; one without any of the landmarks is named and left out."""
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
    """Stack landmarks of the training cases in grid mm; `complete_shapes` fills in missing ones.

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

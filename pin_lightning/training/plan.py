"""Preparation of a training in memory: split, training shapes, shape model, network.

`prepare_run` draws no random numbers, so that all folds are prepared before the first is trained.
`plan_run` adds what is trained, with the weights of the seed.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.settings import check_count
from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.splits import Split, split_cases
from pin_lightning.data.survey import Survey
from pin_lightning.data.usual_images import Traits, UsualImages
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.method.shape_models.completion import complete_shapes
from pin_lightning.runs.folder import RunRecord
from pin_lightning.training.combinations import AnyParts
from pin_lightning.training.first_stage import check_first_stage, first_stage_folder
from pin_lightning.training.pin_plan import fit_models, plan_pin
from pin_lightning.training.pose.choice import check_reused
from pin_lightning.training.prepared import Fitted, Plan, Prepared, WholeShapes
from pin_lightning.training.systems.parts import SystemParts
from pin_lightning.training.systems.plan import plan_system

log = logging.getLogger(__name__)


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


def prepare_run(config: DictConfig, surveyed: Survey, parts: AnyParts) -> Prepared:
    """Split the cases and fit the shape models; nothing is written, and no random number drawn.

    In the config, `model.prior` is set to the prior that is fitted (`fit_prior`).

    Raises:
        ValueError: A setting is wrong; the message names it.
    """
    cases = _split(config, surveyed)
    grid, names = surveyed.grid, surveyed.names
    shapes_mm = training_shapes(cases["train"], names)
    fitted: Fitted
    if isinstance(parts, SystemParts):
        fitted = WholeShapes(shapes_mm)
    else:
        fitted = fit_models(config, parts, shapes_mm, grid)
    split = Split(**{part: tuple(one.case.name for one in cases[part]) for part in cases})
    usual = UsualImages.of([_traits(surveyed.volumes[name]) for name in split.train])
    record = RunRecord(names, grid, fitted.num_parameters, split, surveyed.window, usual)
    folder = first_stage_folder(config)
    if folder is not None:
        check_first_stage(folder, record)
    check_reused(config, split)
    if not fitted.needs_whole_shapes:
        shapes_mm = torch.stack([case.landmarks_mm for case in cases["train"]])
    return Prepared(record, cases, shapes_mm, fitted, folder, parts)


def plan_run(config: DictConfig, prepared: Prepared) -> Plan:
    """Make the localizer and draw its weights; nothing is written.

    Raises:
        ValueError: A setting is wrong; the message names it.
    """
    of_system = isinstance(prepared.parts, SystemParts)
    return plan_system(config, prepared) if of_system else plan_pin(config, prepared)


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

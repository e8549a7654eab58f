"""Plan of a training of PIN: shape models fitted, network made, loader and module."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.sampling import OnTrajectories, Sampling
from pin_lightning.method.targets import displacement_unit
from pin_lightning.runs.model import build_localizer, load_localizer
from pin_lightning.runs.model_record import ModelRecord
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.callbacks.trajectories import FollowTrajectories
from pin_lightning.training.combinations import Parts
from pin_lightning.training.fit import fit_module, model_callbacks
from pin_lightning.training.module import PINModule
from pin_lightning.training.prepared import FittedModels, Prepared
from pin_lightning.training.prior import fit_prior
from pin_lightning.training.samples.sampler import ShapePatchSampler


@dataclass(frozen=True, eq=False)
class PINPlan:
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

    def fit(
        self,
        config: DictConfig,
        run_dir: Path,
        volumes: Mapping[str, Path],
        loggers: Sequence[Logger],
    ) -> None:
        """Train the network, as `Plan.fit`; what only the training needs ends here."""
        localizer, prepared = self.localizer, self.prepared
        assert isinstance(prepared.parts, Parts)
        sampler = ShapePatchSampler(
            localizer.shape_model,
            localizer.grid,
            localizer.patch_side,
            localizer.interpolation,
            self.sampling,
            self.augmentation,
            config.seed,
            localizer.patch_spacings,
        )
        module = PINModule(
            localizer,
            config.model.alpha,
            instantiate(config.model.optimizer),
            instantiate(config.model.scheduler),
            prepared.parts.displacement_loss,
            all_known=bool(torch.isfinite(prepared.shapes_mm).all()),
            names=prepared.record.names,
        )
        fit_module(config, run_dir, prepared, volumes, sampler, module, self.callbacks, loggers)


def fit_models(
    config: DictConfig, parts: Parts, shapes_mm: Float[Tensor, "M L 3"], grid: Grid
) -> FittedModels:
    """Fit shape model and prior; wrong settings are refused now rather than in validation.

    Raises:
        ValueError: A setting is wrong, or the shapes are too few.
    """
    shape_model = deepcopy(parts.shape).fit(shapes_mm, grid.extent_mm)
    prior = fit_prior(config, parts.prior, shapes_mm, grid.extent_mm)
    displacement_unit(config.model.displacement_unit, shape_model.sd_, grid.spacing_mm)
    shape_model.starts(config.model.num_starts, torch.Generator())
    return FittedModels(shape_model, prior)


def plan_pin(config: DictConfig, prepared: Prepared) -> PINPlan:
    """Make the network and draw its weights; nothing is written.

    Raises:
        ValueError: A setting is wrong; the message names it.
    """
    record, parts, folder = prepared.record, prepared.parts, prepared.first_stage
    fitted = prepared.fitted
    assert isinstance(parts, Parts)
    assert isinstance(fitted, FittedModels)
    augmentation = parts.augmentation.for_landmarks(record.names, config.data.mirror_pairs)
    localizer = build_localizer(
        ModelRecord.of_config(config),
        fitted.shape_model,
        record.grid,
        len(record.names),
        record.num_parameters,
        fitted.prior,
        None if folder is None else load_localizer(folder, config.trust_run)[0],
        parts.update_rule,
        trust_run=True,  # of the user's own command line
    )
    share, validates = config.model.trajectory_share, bool(prepared.cases["val"])
    if share == 0:
        callbacks = model_callbacks(config, validates)
        return PINPlan(prepared, localizer, augmentation, parts.sampling, callbacks)
    sampling = OnTrajectories(parts.sampling, share)
    follow = FollowTrajectories(sampling, config.model.trajectory_every, config.seed)
    callbacks = model_callbacks(config, validates, [follow])
    return PINPlan(prepared, localizer, augmentation, sampling, callbacks)

"""Plans of trainings of systems beside PIN."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from pin_lightning.baselines.base import LearningSystem, OwnLoopSystem
from pin_lightning.common.precision import training_device
from pin_lightning.runs.model import build_system
from pin_lightning.runs.model_record import SystemRecord
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.fit import fit_module, model_callbacks
from pin_lightning.training.prepared import Plan, Prepared, WholeShapes
from pin_lightning.training.systems.module import SystemModule
from pin_lightning.training.systems.own_loop import fit_own_loop
from pin_lightning.training.systems.sampler import WholeVolumeSampler


@dataclass(frozen=True, eq=False)
class StepsPlan:
    """A training by gradient steps.

    Attributes:
        prepared: Parts that the data decide.
        localizer: The system, with fresh weights.
        augmentation: Augmentation of these landmarks.
        callbacks: Callbacks for the settings of the model.
    """

    prepared: Prepared
    localizer: LearningSystem
    augmentation: Augmentation
    callbacks: Sequence[Callback]

    def fit(
        self,
        config: DictConfig,
        run_dir: Path,
        volumes: Mapping[str, Path],
        loggers: Sequence[Logger],
    ) -> None:
        """Train the system, as `Plan.fit`."""
        system, prepared, seed = self.localizer, self.prepared, config.seed
        sampler = WholeVolumeSampler(system.grid, system.input_factor, self.augmentation, seed)
        optimizer = instantiate(config.model.optimizer)
        scheduler = instantiate(config.model.scheduler)
        module = SystemModule(system, optimizer, scheduler, seed, prepared.record.names)
        fit_module(config, run_dir, prepared, volumes, sampler, module, self.callbacks, loggers)


@dataclass(frozen=True, eq=False)
class OwnLoopPlan:
    """A training by the system's own loop.

    Attributes:
        prepared: Parts that the data decide.
        localizer: The system, not trained.
        augmentation: Augmentation of these landmarks.
    """

    prepared: Prepared
    localizer: OwnLoopSystem
    augmentation: Augmentation

    def fit(
        self,
        config: DictConfig,
        run_dir: Path,
        volumes: Mapping[str, Path],
        loggers: Sequence[Logger],
    ) -> None:
        """Train the system, as `Plan.fit`."""
        system, seed = self.localizer, config.seed
        sampler = WholeVolumeSampler(system.grid, system.input_factor, self.augmentation, seed)
        files = [volumes[one.case.name] for one in self.prepared.cases["train"]]
        device = training_device(config.trainer.accelerator)
        loader = instantiate(config.loader)(files, self.prepared.shapes_mm, sampler, device)
        fit_own_loop(config, run_dir, system, loader, device, loggers)


def plan_system(config: DictConfig, prepared: Prepared) -> Plan:
    """Make the system, draw its weights, and let it learn from the shapes; nothing is written.

    Raises:
        ValueError: A setting is wrong, or a package that the system needs is not installed.
    """
    record, fitted = prepared.record, prepared.fitted
    assert isinstance(fitted, WholeShapes)
    augmentation = prepared.parts.augmentation.for_landmarks(record.names, config.data.mirror_pairs)
    sizes = (record.grid, len(record.names))
    system = build_system(SystemRecord.of_config(config), *sizes, trust_run=True)
    system.learn_shapes(fitted.shapes_mm)
    if isinstance(system, OwnLoopSystem):
        return OwnLoopPlan(prepared, system, augmentation)
    assert isinstance(system, LearningSystem)
    callbacks = model_callbacks(config, bool(prepared.cases["val"]))
    return StepsPlan(prepared, system, augmentation, callbacks)

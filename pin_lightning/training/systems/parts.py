"""What a config with a system beside PIN describes, and settings that do not apply to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra.utils import get_class, get_object, instantiate
from omegaconf import DictConfig

from pin_lightning.baselines.base import OwnLoopSystem, System
from pin_lightning.common.settings import asked_settings
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.resume import LAST
from pin_lightning.training.samples.queue import queue_loader

# Settings, or whole groups, without meaning for any system, and why.
OF_PIN: Mapping[str, str] = {
    **dict.fromkeys(
        ("shape", "network", "update_rule", "sampling", "displacement_loss"),
        "is of PIN, and model={name} is not",
    ),
    "first_stage": "gives starts, and model={name} has none",
}
OF_STEPS: Mapping[str, str] = {
    **dict.fromkeys(
        ("checkpoint", "trainer.val_check_interval"), "model={name} trains in one piece"
    ),
    "strategy": "model={name} trains in one process",
}


@dataclass(frozen=True, eq=False)
class SystemParts:
    """Objects that a config with a system describes, built once; folds share them.

    Attributes:
        system: Class of the system.
        augmentation: Augmentation, not yet for certain landmarks.
    """

    system: type[System]
    augmentation: Augmentation

    @classmethod
    def of(cls, config: DictConfig) -> "SystemParts":
        """Build the parts of a config that was composed from `conf/train.yaml`.

        Raises:
            ValueError: A setting does not apply to the system; the message names it.
        """
        system: Any = get_class(config.system._target_)
        _refuse(config, system)
        return cls(system, instantiate(config.augmentation))


def why_without(setting: str, system: type[System]) -> str | None:
    """Why a setting does not apply to a system; None where it may.

    >>> from pin_lightning.baselines.registration import AtlasRegistration
    >>> why_without("network.widths", AtlasRegistration)
    'is of PIN, and model=registration is not'
    >>> why_without("data.root", AtlasRegistration)
    """
    of_steps = OF_STEPS if issubclass(system, OwnLoopSystem) else {}
    for one, reason in {**OF_PIN, **of_steps, **system.without}.items():
        if f"{setting}.".startswith(f"{one}."):
            return reason.format(name=system.name)
    return None


def _refuse(config: DictConfig, system: type[System]) -> None:
    """Refuse settings of the command line that do not apply to a system."""
    asked = asked_settings(config) | ({"first_stage"} if config.first_stage is not None else set())
    for one in sorted(asked):
        if (reason := why_without(one, system)) is not None:
            raise ValueError(f"{one}: {reason}; leave it out")
    if get_object(config.loader._target_) is queue_loader:
        raise ValueError(
            f"loader=queue: gives patches, and model={system.name} sees whole volumes; leave it "
            f"out, volumes that do not fit into memory are mapped from a file"
        )
    if issubclass(system, OwnLoopSystem) and config.ckpt_path not in (None, LAST):
        raise ValueError(
            f"ckpt_path={config.ckpt_path}: model={system.name} trains in one piece; leave it out"
        )

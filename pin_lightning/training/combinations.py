"""Checks of settings: parts that do not work together, and settings without effect."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from pin_lightning.common.settings import asked_settings
from pin_lightning.method.losses import DisplacementLoss
from pin_lightning.method.networks import SharedNetwork
from pin_lightning.method.sampling import Approach, Sampling
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.update_rules import RuleA, RuleB, UpdateRule
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.systems.parts import SystemParts


@dataclass(frozen=True, eq=False)
class Parts:
    """Objects that a config of PIN describes, built once; folds share them.

    Shape model and prior are not fitted; a training fits copies. The augmentation is not yet for
    certain landmarks.
    """

    shape: ShapeModel
    prior: ShapeModel | None
    network: type[nn.Module]
    update_rule: UpdateRule
    sampling: Sampling
    displacement_loss: DisplacementLoss
    augmentation: Augmentation

    @classmethod
    def of(cls, config: DictConfig) -> "Parts":
        """Build the parts of a config that was composed from `conf/train.yaml`."""
        names = ("shape", "update_rule", "sampling", "displacement_loss", "augmentation")
        made = {name: instantiate(config[name]) for name in names}
        prior, network = instantiate(config.model.prior), get_class(config.network._target_)
        return cls(prior=prior, network=network, **made)


AnyParts: TypeAlias = Parts | SystemParts


def parts_of(config: DictConfig) -> AnyParts:
    """Build the parts of PIN or of a system beside it.

    Raises:
        ValueError: A setting is wrong, or does not apply to the system.
    """
    return (Parts if config.system is None else SystemParts).of(config)


# Combinations that make no sense, and what to do instead. Numbers of landmarks and voxels are known
# only with the data: shape=identity and network=paper check these themselves.
REFUSED: tuple[tuple[Callable[[Parts], bool], str], ...] = (
    (
        lambda parts: issubclass(parts.network, SharedNetwork) and not parts.shape.each_by_itself,
        "network=shared: moves each landmark by itself; give shape=points, or model=multi for a "
        "shape model that moves them together",
    ),
    (
        lambda parts: parts.displacement_loss.needs_scale and not parts.sampling.knows_scale,
        "displacement_loss=relative: needs sampling=scatter, which knows how far from the truth "
        "samples are; give that, or displacement_loss=mse",
    ),
)

Condition: TypeAlias = Callable[[Any, Any], bool]


def _where(setting: str, value: object) -> tuple[Condition, str]:
    """Condition that another setting has a value, and the reason that names it."""
    shown = "null" if value is None else value
    return lambda config, parts: OmegaConf.select(config, setting) == value, f"{setting}={shown}"


# Settings, the condition under which they have no effect, and the reason.
WITHOUT_EFFECT: tuple[tuple[str, Condition, str], ...] = (
    ("model.prior_share", *_where("model.prior", None)),
    ("model.trajectory_every", *_where("model.trajectory_share", 0)),
    ("augmentation.elastic_spacing", *_where("augmentation.elastic_sd", 0)),
    ("augmentation.flip_axis", *_where("augmentation.flip_probability", 0)),
    ("data.mirror_axis", *_where("augmentation.flip_probability", 0)),
    ("data.mirror_pairs", *_where("augmentation.flip_probability", 0)),
    ("shape.hidden", *_where("shape.max_steps", 0)),
    (
        "model.approach_fraction",
        lambda config, parts: not isinstance(parts.sampling, Approach),
        "it is of sampling=approach",
    ),
    (
        "data.split.test_fraction",
        lambda config, parts: any(
            config.data.split[other] is not None for other in ("test_names", "train_names", "folds")
        ),
        "names or folds say which cases test",
    ),
    (
        "data.split.val_fraction",
        lambda config, parts: config.data.split.val_names is not None,
        "data.split.val_names says which cases validate",
    ),
)


def check_combination(parts: AnyParts) -> None:
    """Raise a ValueError for parts that make no sense together, before any data are read."""
    if isinstance(parts, SystemParts):
        return  # it is one part
    for makes_no_sense, reason in REFUSED:
        if makes_no_sense(parts):
            raise ValueError(reason)


def without_effect(config: DictConfig, parts: AnyParts) -> Iterator[str]:
    """Describe settings of the command line without effect, and used outputs without training."""
    asked = asked_settings(config)
    for setting, has_none, reason in WITHOUT_EFFECT:
        if setting in asked and has_none(config, parts):
            yield f"{setting}: has no effect here, {reason}"
    if isinstance(parts, SystemParts):
        return
    untrained = {0: ("direction", RuleB), 1: ("displacement", RuleA)}
    if config.model.alpha in untrained:
        output, not_by = untrained[config.model.alpha]
        if not isinstance(parts.update_rule, not_by):
            rule = type(parts.update_rule).__name__
            yield f"model.alpha={config.model.alpha}: does not train the {output} that {rule} uses"

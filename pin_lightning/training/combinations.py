"""Checks of settings: parts that do not work together, and settings without effect."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig
from torch import nn

from pin_lightning.method.losses import DisplacementLoss
from pin_lightning.method.networks import SharedNetwork
from pin_lightning.method.sampling import Approach, Sampling
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.update_rules import RuleA, RuleB, UpdateRule
from pin_lightning.training.augmentation.augmentation import Augmentation


@dataclass(frozen=True, eq=False)
class Parts:
    """Objects that a config describes, built once; folds share them.

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

# Settings, the condition under which they have no effect, and the reason.
WITHOUT_EFFECT: tuple[tuple[str, Callable[[Any, Parts], bool], str], ...] = (
    (
        "model.approach_fraction",
        lambda config, parts: not isinstance(parts.sampling, Approach),
        "it is of sampling=approach",
    ),
    (
        "model.prior_share",
        lambda config, parts: config.model.prior is None,
        "there is no model.prior",
    ),
    (
        "model.trajectory_every",
        lambda config, parts: config.model.trajectory_share == 0,
        "model.trajectory_share=0",
    ),
    (
        "augmentation.elastic_spacing",
        lambda config, parts: config.augmentation.elastic_sd == 0,
        "augmentation.elastic_sd=0",
    ),
    *(
        (
            setting,
            lambda config, parts: config.augmentation.flip_probability == 0,
            "augmentation.flip_probability=0",
        )
        for setting in ("augmentation.flip_axis", "data.mirror_axis", "data.mirror_pairs")
    ),
    (
        "shape.hidden",
        lambda config, parts: config.shape.get("max_steps") == 0,
        "shape.max_steps=0 trains no network",
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


def check_combination(parts: Parts) -> None:
    """Raise a ValueError for parts that make no sense together, before any data are read."""
    for makes_no_sense, reason in REFUSED:
        if makes_no_sense(parts):
            raise ValueError(reason)


def without_effect(config: DictConfig, parts: Parts) -> Iterator[str]:
    """Describe settings of the command line without effect, and used outputs without training."""
    asked = {one.split("=")[0].lstrip("+~") for one in config.overrides}
    for setting, has_none, reason in WITHOUT_EFFECT:
        if setting in asked and has_none(config, parts):
            yield f"{setting}: has no effect here, {reason}"
    untrained = {0: ("direction", RuleB), 1: ("displacement", RuleA)}
    if config.model.alpha in untrained:
        output, not_by = untrained[config.model.alpha]
        if not isinstance(parts.update_rule, not_by):
            rule = type(parts.update_rule).__name__
            yield f"model.alpha={config.model.alpha}: does not train the {output} that {rule} uses"

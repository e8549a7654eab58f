"""The record of a model: the plain values from which a run's localizer is rebuilt.

Each slot (shape model, prior, network, update rule, pose) holds a name of a fixed table and keyword
arguments, which are checked for type and size. Nothing is imported by a name from a file, unless
the caller trusts the run.
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.precision import check_precision
from pin_lightning.method.networks import CompactNetwork, PaperNetwork, SharedNetwork
from pin_lightning.method.pose import PoseFinder
from pin_lightning.method.shape_models import (
    AffineShapeModel,
    AutoencoderShapeModel,
    IdentityShapeModel,
    PCAShapeModel,
    PointsShapeModel,
)
from pin_lightning.method.update_rules import RuleA, RuleB, RuleC

_SHAPES = {
    "autoencoder": AutoencoderShapeModel,
    "identity": IdentityShapeModel,
    "pca": PCAShapeModel,
    "points": PointsShapeModel,
}
REGISTRY: Mapping[str, Mapping[str, type]] = {
    "shape": _SHAPES,
    "prior": {**_SHAPES, "affine": AffineShapeModel},
    "network": {"compact": CompactNetwork, "paper": PaperNetwork, "shared": SharedNetwork},
    "update_rule": {"A": RuleA, "B": RuleB, "C": RuleC},
    "pose": {"find": PoseFinder},
}
# Largest values of settings, far above any use: a damaged or hostile file ends in one line.
LARGEST = {
    "patch_side": 1001,
    "patch_spacings": 64,
    "num_starts": 10_000,
    "max_iterations": 10_000,
    "widths": 8192,
    "hidden": 65_536,
    "seed": 2**63,
    "landmarks": 1000,
    "num_rotations": 60,
}
# Settings of ``pose`` that the pose finder has; the others are of its training.
POSE_SETTINGS = ("rotations", "landmarks", "patch_side", "num_rotations", "score")
_LARGEST_OTHERS = 1e6
_NEEDED = ("shape", "network", "update_rule")
_MOST_VALUES = 32  # of a list


@dataclass(frozen=True)
class Part:
    """A part of a model.

    Attributes:
        name: Name in the table of its slot; the dotted name of a class of the user's own.
        settings: Keyword arguments of its class.
    """

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class ModelRecord:
    """Settings from which a localizer is rebuilt, beside landmarks, grid and weights.

    Attributes:
        shape: Shape model.
        network: Network, without sizes that landmarks and patches decide.
        update_rule: Update rule.
        prior: Shape model of the first iterations, if any.
        pose: Pose stage, if any.
        patch_side: Side of the patches in voxels.
        patch_spacings: Spacings of the patches in voxels.
        interpolation: ``nearest`` or ``linear``.
        displacement_unit: ``voxel`` or ``sd``.
        num_starts: Starts that are averaged.
        tolerance_voxels: A start that moves less in one iteration stops.
        prior_share: Share of the iterations in which the prior holds.
        seed: Seed of the random starts.
        precision: ``trainer.precision`` of the training.
    """

    shape: Part
    network: Part
    update_rule: Part
    prior: Part | None
    pose: Part | None
    patch_side: int
    patch_spacings: Sequence[int]
    interpolation: str
    displacement_unit: str
    num_starts: int
    tolerance_voxels: float
    prior_share: float
    seed: int
    precision: str

    @classmethod
    def of_config(cls, config: DictConfig) -> "ModelRecord":
        """Make the record of the model that a resolved config describes."""
        # Node by node: others may hold what only a Hydra program can resolve.
        nodes = ("shape", "network", "update_rule", "model")
        plain: dict[str, Any] = {
            name: OmegaConf.to_container(config[name], resolve=True) for name in nodes
        }
        model = plain.pop("model")
        parts: dict[str, Any] = {slot: _part(slot, node) for slot, node in plain.items()}
        parts["prior"] = None if model["prior"] is None else _part("prior", model["prior"])
        pose = OmegaConf.to_container(config.pose, resolve=True)
        assert isinstance(pose, dict)
        finds = pose["kind"] == "find"
        settings = {name: pose[name] for name in POSE_SETTINGS} if finds else {}
        parts["pose"] = Part("find", settings) if finds else None
        names = {one.name for one in fields(cls)} & model.keys() - {"prior"}
        others = {name: model[name] for name in names}
        return cls(**parts, seed=config.seed, precision=config.trainer.precision, **others)

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "ModelRecord":
        """Read a record made by `to_json`.

        Raises:
            TypeError: The contents are not a record.
            ValueError: A value is of another type, or larger than any use.
        """
        # Records of format 2 have no pose; those of format 3 were scored by the expected error.
        parts = {slot: _read_part(content.get(slot)) for slot in REGISTRY}
        if (pose := parts["pose"]) is not None:
            parts["pose"] = Part(pose.name, {"score": "expected_error", **pose.settings})
        if absent := [slot for slot in _NEEDED if parts[slot] is None]:
            raise ValueError(f"lacks {', '.join(absent)}")
        others = {name: value for name, value in content.items() if name not in REGISTRY}
        hints = get_type_hints(cls)
        for name, value in others.items():
            _check(f"model.{name}", name, value, hints[name])
        check_precision(others["precision"])
        return cls(**parts, **others)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as in `run.json`."""
        return asdict(self)

    def build(self, slot: str, trust_run: bool = False, **known: Any) -> Any:
        """Make the part of a slot; None for an absent prior or pose.

        Args:
            slot: One of `REGISTRY`.
            trust_run: Import and run a class of the user's own.
            known: Further keyword arguments, which the data decide.

        Raises:
            ValueError: The name is not in the table, or a setting is unknown, of another type, or
                larger than any use.
        """
        part: Part | None = getattr(self, slot)
        if part is None:
            return None
        if part.name in REGISTRY[slot]:
            made = REGISTRY[slot][part.name]
            _check_settings(slot, made, part.settings)
            return made(**part.settings, **known)
        if trust_run:
            settings = {"_target_": part.name, **part.settings}
            return instantiate(settings, **known, _convert_="all")
        raise ValueError(
            f"{slot}={part.name}: is none of {', '.join(REGISTRY[slot])}; give trust_run=true to "
            f"import it, if you trust whoever made this run"
        )


def _read_part(content: Any) -> Part | None:
    return None if content is None else Part(str(content["name"]), dict(content["settings"]))


def _part(slot: str, node: Any) -> Part:
    """Make the part of a node of a config; a class of this program has its short name."""
    settings = {key: value for key, value in node.items() if key != "_target_"}
    target = str(node["_target_"])
    package, _, kind = target.rpartition(".")
    if package.startswith("pin_lightning."):
        for name, known in REGISTRY[slot].items():
            if known.__name__ == kind:
                return Part(name, settings)
    return Part(target, settings)


def _check_settings(slot: str, made: type, settings: Mapping[str, Any]) -> None:
    known = inspect.signature(made).parameters
    hints = get_type_hints(made.__init__)  # type: ignore[misc]
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"{slot}.{name}={value!r}: there is no such setting")
        _check(f"{slot}.{name}", name, value, hints[name])


def _check(setting: str, name: str, value: object, hint: Any) -> None:
    if not _fits(value, hint):
        shown = repr(value)[:80]
        raise ValueError(f"{setting}={shown}: is not {getattr(hint, '__name__', hint)}")
    most = LARGEST.get(name, _LARGEST_OTHERS)
    numbers = value if isinstance(value, list | tuple) else [value]
    for number in numbers:
        if isinstance(number, int | float) and abs(number) > most:
            raise ValueError(f"{setting}={number}: is more than {most:g}")
        if name in LARGEST and isinstance(number, int) and number < (name != "seed"):
            raise ValueError(f"{setting}={number}: is too small")


def _fits(value: object, hint: Any) -> bool:
    """Tell whether a plain value has the type of a keyword argument."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if hint is None or hint is NoneType:
        return value is None
    if origin is not None:  # Sequence[int], tuple[int, ...]
        if not isinstance(value, list | tuple) or len(value) > _MOST_VALUES:
            return False
        return all(_fits(one, inner[0]) for one in value)
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)  # type: ignore[arg-type]
    return type(value) is hint and hint in (bool, int, str)

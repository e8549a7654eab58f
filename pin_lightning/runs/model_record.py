"""The record of a model: the plain values from which a run's localizer is rebuilt.

Those of PIN are in a `ModelRecord`, those of another system in a `SystemRecord`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeAlias, get_type_hints

from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.precision import check_precision
from pin_lightning.runs.model_parts import (
    Part,
    build_part,
    check_setting,
    part_of,
    read_part,
)

# Settings of ``pose`` that the pose finder has; the others are of its training.
POSE_SETTINGS = ("rotations", "landmarks", "patch_side", "num_rotations", "score")
_SLOTS = ("shape", "prior", "network", "update_rule", "pose")
_NEEDED = ("shape", "network", "update_rule")


class _Record:
    """What the records of all kinds share."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as in `run.json`."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

    def build(self, slot: str, trust_run: bool = False, **known: Any) -> Any:
        """Make the part of a slot, as `build_part` does."""
        return build_part(slot, getattr(self, slot), trust_run, **known)


@dataclass(frozen=True)
class ModelRecord(_Record):
    """Settings from which the localizer of PIN is rebuilt, beside landmarks, grid and weights.

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

    kind: ClassVar[str] = "pin"
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
        parts: dict[str, Any] = {slot: part_of(slot, node) for slot, node in plain.items()}
        parts["prior"] = None if model["prior"] is None else part_of("prior", model["prior"])
        parts["pose"] = _pose_part(config)
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
        parts = {slot: read_part(content.get(slot)) for slot in _SLOTS}
        parts["pose"] = _read_pose(content)
        if absent := [slot for slot in _NEEDED if parts[slot] is None]:
            raise ValueError(f"lacks {', '.join(absent)}")
        others = {name: value for name, value in content.items() if name not in (*_SLOTS, "kind")}
        _check_others(cls, others)
        return cls(**parts, **others)  # type: ignore[arg-type]


@dataclass(frozen=True)
class SystemRecord(_Record):
    """Settings from which a system beside PIN is rebuilt.

    Attributes:
        system: The system.
        pose: Pose stage, if any.
        seed: Seed of the training.
        precision: ``trainer.precision`` of the training.
    """

    kind: ClassVar[str] = "system"
    system: Part
    pose: Part | None
    seed: int
    precision: str

    @classmethod
    def of_config(cls, config: DictConfig) -> "SystemRecord":
        """Make the record of the system that a resolved config describes."""
        system = part_of("system", OmegaConf.to_container(config.system, resolve=True))
        return cls(system, _pose_part(config), config.seed, config.trainer.precision)

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "SystemRecord":
        """Read a record made by `to_json`.

        Raises:
            TypeError: The contents are not a record.
            ValueError: A value is of another type, or larger than any use.
        """
        system = read_part(content.get("system"))
        if system is None:
            raise ValueError("lacks system")
        parts = ("kind", "system", "pose")
        others = {name: one for name, one in content.items() if name not in parts}
        _check_others(cls, others)
        return cls(system, _read_pose(content), **others)


AnyRecord: TypeAlias = ModelRecord | SystemRecord
_KINDS: Mapping[str, type[AnyRecord]] = {one.kind: one for one in (ModelRecord, SystemRecord)}


def record_of_config(config: DictConfig) -> AnyRecord:
    """Make the record of the model that a resolved config describes, of either kind."""
    return (ModelRecord if config.get("system") is None else SystemRecord).of_config(config)


def record_of_json(content: Mapping[str, Any]) -> AnyRecord:
    """Read a record of either kind; those of formats before 5 have none, and are of PIN.

    Raises:
        TypeError: The contents are not a record.
        ValueError: The kind is unknown, or a value of another type, or larger than any use.
    """
    kind = content.get("kind", ModelRecord.kind)
    if kind not in _KINDS:
        raise ValueError(f"model.kind={str(kind)[:80]}: is none of {', '.join(_KINDS)}")
    return _KINDS[kind].of_json(content)


def _pose_part(config: DictConfig) -> Part | None:
    pose = OmegaConf.to_container(config.pose, resolve=True)
    assert isinstance(pose, dict)
    if pose["kind"] != "find":
        return None
    return Part("find", {name: pose[name] for name in POSE_SETTINGS})


def _read_pose(content: Mapping[str, Any]) -> Part | None:
    """Records of format 2 have no pose; those of format 3 were scored by the expected error."""
    pose = read_part(content.get("pose"))
    return None if pose is None else Part(pose.name, {"score": "expected_error", **pose.settings})


def _check_others(record: type, values: Mapping[str, Any]) -> None:
    """Validate the values of a record that are no parts."""
    hints = get_type_hints(record)
    for name, value in values.items():
        check_setting(f"model.{name}", name, value, hints[name])
    check_precision(values["precision"])

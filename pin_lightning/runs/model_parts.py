"""Parts of a model in a run's record: a name of a fixed table, and keyword arguments.

The arguments are checked for type and size. Nothing is imported by a name from a file, unless the
caller trusts the run.
"""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.utils import instantiate

from pin_lightning.baselines.registry import SYSTEMS
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
    "system": SYSTEMS,
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
_LARGEST_OTHERS = 1e6
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


def read_part(content: Any) -> Part | None:
    """Read a part from a record; None stays None."""
    return None if content is None else Part(str(content["name"]), dict(content["settings"]))


def part_of(slot: str, node: Any) -> Part:
    """Make the part of a node of a config; a class of this program has its short name."""
    settings = {key: value for key, value in node.items() if key != "_target_"}
    target = str(node["_target_"])
    package, _, kind = target.rpartition(".")
    if package.startswith("pin_lightning."):
        for name, known in REGISTRY[slot].items():
            if known.__name__ == kind:
                return Part(name, settings)
    return Part(target, settings)


def build_part(slot: str, part: Part | None, trust_run: bool = False, **known: Any) -> Any:
    """Make the part of a slot; None for an absent one.

    Args:
        slot: One of `REGISTRY`.
        part: The part.
        trust_run: Import and run a class of the user's own.
        known: Further keyword arguments, which the data decide.

    Raises:
        ValueError: The name is not in the table, or a setting is unknown, of another type, or
            larger than any use.
    """
    if part is None:
        return None
    if part.name in REGISTRY[slot]:
        made = REGISTRY[slot][part.name]
        _check_settings(slot, made, part.settings)
        return made(**part.settings, **known)
    if trust_run:
        settings = {"_target_": part.name, "_partial_": True, **part.settings}
        return instantiate(settings, _convert_="all")(**known)  # known as they are, not as configs
    raise ValueError(
        f"{slot}={part.name}: is none of {', '.join(REGISTRY[slot])}; give trust_run=true to "
        f"import it, if you trust whoever made this run"
    )


def _check_settings(slot: str, made: type, settings: Mapping[str, Any]) -> None:
    known = inspect.signature(made).parameters
    hints = get_type_hints(made.__init__)  # type: ignore[misc]
    largest = {**LARGEST, **getattr(made, "largest", {})}
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"{slot}.{name}={value!r}: there is no such setting")
        check_setting(f"{slot}.{name}", name, value, hints[name], largest)


def check_setting(
    setting: str, name: str, value: object, hint: Any, largest: Mapping[str, float] = LARGEST
) -> None:
    """Validate the type and the size of a setting; else raise ValueError.

    Args:
        setting: Its dotted name, for the message.
        name: Its own name.
        value: The value.
        hint: Type that it is to have.
        largest: Largest values by name.
    """
    if not _fits(value, hint):
        shown = repr(value)[:80]
        raise ValueError(f"{setting}={shown}: is not {getattr(hint, '__name__', hint)}")
    most = largest.get(name, _LARGEST_OTHERS)
    numbers = value if isinstance(value, list | tuple) else [value]
    for number in numbers:
        if isinstance(number, int | float) and abs(number) > most:
            raise ValueError(f"{setting}={number}: is more than {most:g}")
        if name in largest and isinstance(number, int) and number < (name != "seed"):
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

"""Formats of run folders, and the migration of older ones.

``format_version`` in `run.json` and `folds.json` holds for the whole folder. A change of the format
adds a step to `_STEPS`, so that every earlier folder stays readable.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf

FORMAT_VERSION = 5
MOST_BYTES, MOST_DEPTH = 2**20, 32  # of a config.yaml
MOST_RECORD_BYTES = 2**25  # of a record, with the names of all cases
Content = TypeVar("Content")

# Modules named by a `config.yaml` of version 1, and where their contents are now.
_MOVED = {
    "pin_lightning.augmentation": "pin_lightning.training.augmentation.augmentation",
    "pin_lightning.cases": "pin_lightning.data.sources.folder",
    "pin_lightning.data.phantom": "pin_lightning.data.sources.phantom",
    "pin_lightning.data.queue": "pin_lightning.training.samples.queue",
    "pin_lightning.data.resident": "pin_lightning.training.samples.resident",
    "pin_lightning.data.sampling": "pin_lightning.method.sampling",
    "pin_lightning.losses": "pin_lightning.method.losses",
    "pin_lightning.network": "pin_lightning.method.networks",
    "pin_lightning.shape_models": "pin_lightning.method.shape_models",
    "pin_lightning.shared_network": "pin_lightning.method.networks",
    "pin_lightning.sources.bids": "pin_lightning.data.sources.bids",
    "pin_lightning.sources.csv_table": "pin_lightning.data.sources.csv_table",
    "pin_lightning.sources.pin": "pin_lightning.data.sources.pin_layout",
    "pin_lightning.update_rules": "pin_lightning.method.update_rules",
}
# Settings that the first runs of version 1 lack, with the values that these runs used.
_LATER_SETTINGS = {
    "model": {"patch_spacings": [1], "prior": None, "prior_share": 0.0},
    "data": {"planes": {}},
    "trainer": {"precision": "auto"},
}


def read_versioned(path: Path, parse: Callable[[dict[str, Any]], Content], remedy: str) -> Content:
    """Parse a JSON file with a ``format_version``.

    Args:
        path: The file.
        parse: Parses the contents.
        remedy: Advice for a file that cannot be restored.

    Raises:
        ValueError: It is damaged, or of a version that this program does not know.
    """
    try:
        if (size := path.stat().st_size) > MOST_RECORD_BYTES:
            raise ValueError(f"{size} bytes, more than {MOST_RECORD_BYTES}")
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format_version"]
        is_known = type(version) is int and 1 <= version <= FORMAT_VERSION
        parsed = parse(content) if is_known else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, error, remedy) from error
    if parsed is None:
        raise ValueError(
            f"{path}: has format_version {version}, this program reads 1 to {FORMAT_VERSION}; "
            f"use the version of the program that wrote it, or {remedy}"
        )
    return parsed


def plain_yaml(path: Path) -> Any:
    """Read a YAML file of plain values, with nothing that could grow or be computed on reading.

    Raises:
        ValueError: It is too large, too deeply nested, or holds an alias or an interpolation.
        yaml.YAMLError: It is no YAML.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
    text, depth = path.read_text(encoding="utf-8"), 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"an alias, *{event.anchor}")
        if depth > MOST_DEPTH:
            raise ValueError(f"nested more than {MOST_DEPTH} deep")
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            raise ValueError(f"an interpolation, {event.value[:80]}")
    return OmegaConf.to_container(OmegaConf.create(text))


def damaged(path: Path, error: Exception, remedy: str) -> ValueError:
    """Make the error of a file that cannot be read."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ValueError(f"{path}: is damaged ({reason}); restore it, or {remedy}")


def upgraded(config: DictConfig, version: int) -> DictConfig:
    """Bring the config of a run folder of a ``format_version`` to the present format."""
    for step in _STEPS[version - 1 :]:
        config = step(config)
    return config


def _of_packages(config: DictConfig) -> DictConfig:
    """Version 1 to 2: modules moved into packages."""
    renamed = OmegaConf.create(_renamed(OmegaConf.to_container(config)))
    full = OmegaConf.merge(_LATER_SETTINGS, renamed)
    assert isinstance(full, DictConfig)
    return full


def _renamed(node: Any) -> Any:
    if isinstance(node, list):
        return [_renamed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _present_name(value) if key == "_target_" else _renamed(value)
        for key, value in node.items()
    }


def _present_name(target: Any) -> Any:
    """Present dotted name of something that may have moved; others stay.

    >>> _present_name("pin_lightning.network.CompactNetwork")
    'pin_lightning.method.networks.CompactNetwork'
    """
    if not isinstance(target, str):
        return target
    old = max((one for one in _MOVED if target.startswith(f"{one}.")), key=len, default=None)
    return target if old is None else _MOVED[old] + target.removeprefix(old)


def _with_pose(config: DictConfig) -> DictConfig:
    """Version 2 to 3: runs may have a pose stage; earlier ones have none."""
    full = OmegaConf.merge({"pose": {"kind": "as_scanned"}}, config)
    assert isinstance(full, DictConfig)
    return full


def _with_score(config: DictConfig) -> DictConfig:
    """Version 3 to 4: poses are scored by evidence, and what of a phantom is turned has a name."""
    full = OmegaConf.merge({"pose": {"score": "expected_error"}}, config)
    assert isinstance(full, DictConfig)
    turned = OmegaConf.select(full, "data.source.turned")
    if isinstance(turned, bool):
        full.data.source.turned = "head" if turned else "none"
    return full


def _with_system(config: DictConfig) -> DictConfig:
    """Version 4 to 5: runs may be of a system beside PIN; earlier ones are not."""
    full = OmegaConf.merge({"system": None}, config)
    assert isinstance(full, DictConfig)
    return full


# Each takes a config of the version at its place, from 1 on, to the next.
_STEPS: tuple[Callable[[DictConfig], DictConfig], ...] = (
    _of_packages,
    _with_pose,
    _with_score,
    _with_system,
)

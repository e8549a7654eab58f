"""Validation of settings; each message names the setting and its value."""

import math
from typing import Any, TypeGuard

from omegaconf import DictConfig, OmegaConf

import pin_lightning.common.phantom_folder  # noqa: F401 - registers a resolver of configs


def check_count(setting: str, value: object, least: int = 1) -> None:
    """Validate that a setting is a whole number of at least `least`; else raise ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{setting}={value}: give a whole number of at least {least}")


def check_flag(setting: str, value: object) -> None:
    """Validate that a setting is a bool, as a word like ``no`` would be true; else ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"{setting}={value}: give true or false")


def is_number(value: object) -> TypeGuard[float]:
    """True for a finite int or float; a bool is no number."""
    try:
        return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)
    except OverflowError:  # an integer beyond the range of float
        return False


def asked_settings(config: DictConfig) -> set[str]:
    """Settings that a command line gives, by their dotted names; options of groups are among them.

    >>> sorted(asked_settings(OmegaConf.create({"overrides": ["seed=1", "+data.planes.P.a=b"]})))
    ['data.planes.P.a', 'seed']
    """
    return {one.split("=")[0].lstrip("+~") for one in config.overrides}


def refuse_missing(config: DictConfig) -> None:
    """Raise ValueError for the first mandatory setting (``???``) that has no value."""

    def missing(node: Any, path: str) -> list[str]:
        if isinstance(node, dict):
            return [key for name in node for key in missing(node[name], f"{path}.{name}")]
        return [path[1:]] if node == "???" else []

    # OmegaConf's own missing_keys fails on interpolations of a missing value.
    for key in missing(OmegaConf.to_container(config, resolve=False), ""):
        raise ValueError(f"{key}: is not set; give {key}=VALUE")

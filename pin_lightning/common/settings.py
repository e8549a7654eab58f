"""Settings of the wrong kind, refused in a line that names them."""

import math
from typing import Any, TypeGuard

from omegaconf import DictConfig, OmegaConf

import pin_lightning.common.phantom_folder  # noqa: F401 - a config asks for it


def check_count(setting: str, value: object, least: int = 1) -> None:
    """Refuse what is not a whole number, or too small.

    Raises:
        ValueError: The message names the setting.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{setting}={value}: give a whole number of at least {least}")


def check_flag(setting: str, value: object) -> None:
    """Refuse what is neither true nor false: a word such as ``no`` would count as true.

    Raises:
        ValueError: The message names the setting.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{setting}={value}: give true or false")


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a finite number, and neither true nor false."""
    try:
        return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        return False


def refuse_missing(config: DictConfig) -> None:
    """Refuse a config in which a value that has no default (``???``) was not given.

    Raises:
        ValueError: A value is missing; the message names the setting to give.
    """

    def missing(node: Any, path: str) -> list[str]:
        if isinstance(node, dict):
            return [key for name in node for key in missing(node[name], f"{path}.{name}")]
        return [path[1:]] if node == "???" else []

    # OmegaConf's own missing_keys fails on interpolations of a missing value.
    for key in missing(OmegaConf.to_container(config, resolve=False), ""):
        raise ValueError(f"{key}: is not set; give {key}=VALUE")

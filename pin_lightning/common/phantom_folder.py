"""Folder of a phantom data set, named by a digest of its settings."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

PHANTOM_VERSION = 1  # increment when the same settings give other phantoms
DIGITS = 8
WHERE = ("_target_", "root")  # settings of the source without effect on the phantoms
# Settings that came later: with these values, phantoms and their folder are those without them.
LATER = {"turned": "none", "field": 1.0}


def phantom_folder(source: Mapping[str, Any]) -> str:
    """Folder of phantoms with these settings, relative to the working directory.

    Configs use it as the resolver ``${phantom_folder:${data.source}}``.

    Args:
        source: Settings of `pin_lightning.data.sources.phantom.phantom_cases`.

    >>> phantom_folder({"num_cases": 50, "spacing_mm": [2, 2, 2], "root": "anywhere"})
    'data/phantom_32e549bf'
    """
    given = {key: _plain(source[key]) for key in source if key not in WHERE}
    settings = without_later_defaults(given)
    record = json.dumps({"version": PHANTOM_VERSION, **settings}, sort_keys=True, default=str)
    return f"data/phantom_{hashlib.sha256(record.encode()).hexdigest()[:DIGITS]}"


def without_later_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of phantoms without later ones that have their defaults.

    >>> without_later_defaults({"seed": 0, "turned": "none", "field": 2})
    {'seed': 0, 'field': 2}
    """
    return {key: one for key, one in settings.items() if key not in LATER or one != LATER[key]}


def _plain(value: Any) -> Any:
    """Normalise a setting, so that equal values such as 0 and 0.0 have one digest."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, int | float) else value


OmegaConf.register_new_resolver("phantom_folder", phantom_folder, replace=True)

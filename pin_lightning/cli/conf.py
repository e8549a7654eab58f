"""Folder of the configs from which Hydra composes every program."""

from pathlib import Path

import pin_lightning.common.phantom_folder  # noqa: F401 - registers a resolver for the configs

# A wheel has the configs inside the package, a checkout beside it.
_PACKAGED = Path(__file__).resolve().parents[1] / "conf"
CONF = _PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parents[1] / "conf"

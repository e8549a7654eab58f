"""Folder of the configs from which Hydra composes every program."""

from pathlib import Path

import pin_lightning.common.phantom_folder  # noqa: F401 - a config asks for it

_PACKAGE = Path(__file__).resolve().parents[1]


def _find(package: Path) -> Path:
    """`conf` inside the package, as a wheel has it, or beside it, as in a checkout."""
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


CONF = _find(_PACKAGE)

"""Folder of the configs from which Hydra composes every program."""

from pathlib import Path

import pin_lightning.common.phantom_folder  # noqa: F401 - a config asks for it

CONF = Path(__file__).resolve().parents[2] / "conf"

"""Folder of the configs from which Hydra composes every program."""

from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"

"""The data of a run, from its config: sources of this program only, called with plain values."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from pin_lightning.data.cases import Case
from pin_lightning.data.renaming import Renaming
from pin_lightning.data.sources.bids import bids_cases
from pin_lightning.data.sources.csv_table import csv_cases
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.sources.listed import listed_cases
from pin_lightning.data.sources.phantom import phantom_cases
from pin_lightning.data.sources.pin_layout import pin_cases

_ALL = (bids_cases, csv_cases, find_cases, listed_cases, phantom_cases, pin_cases)
SOURCES = {one.__name__: one for one in _ALL}


def cases_of(config: DictConfig) -> list[Case]:
    """Cases that a run was trained on and measured on.

    Raises:
        ValueError: The run names a source that is not of this program.
    """
    source: Any = OmegaConf.to_container(config.data.source, resolve=True)
    target = str(source.pop("_target_"))
    name = target.rpartition(".")[2]
    if name not in SOURCES:
        raise ValueError(f"data.source={target}: is none of {', '.join(SOURCES)}")
    return Renaming.of(config.data.get("rename")).cases(SOURCES[name](**source))

"""Phantoms as the default data of a command line that names none."""

import logging
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pin_lightning.cli.conf import CONF
from pin_lightning.distributed.ranks import is_first

log = logging.getLogger(__name__)

DOING = {"train": "training on", "cross_validate": "training on", "check": "checking"}
DEFAULT = "folder"  # option of data in conf/train.yaml and conf/check.yaml
PHANTOMS, TOLD = "data=phantom", f"+hydra.callbacks.unnamed._target_={__name__}.TellOfPhantoms"
# Data as a setting of a sweep, in its list of jobs or its grid.
SWEPT = re.compile(r"(?<![\w./])data(\.root)?\s*[=:]")


def with_phantoms(program: str, arguments: Sequence[str]) -> list[str]:
    """Add phantoms, and `TellOfPhantoms`, to a command line that names no data.

    An experiment, a config of ``--config-dir`` or the jobs of a sweep may name data, too. A command
    line that Hydra will refuse stays unchanged.
    """
    same = list(arguments)
    if program not in DOING or any(_key(one) in ("data", "data.root") for one in same):
        return same
    told = get_args_parser().parse_args(same)
    try:
        if told.config_path is not None or not _lacks_data(program, told):
            return same
    except (HydraException, OmegaConfBaseException, ValueError):
        return same
    # Beside the other overrides: Hydra takes none after an option such as --cfg job.
    place = same.index(told.overrides[0]) if told.overrides else len(same)
    return [*same[:place], PHANTOMS, TOLD, *same[place:]]


class TellOfPhantoms(Callback):
    """Hydra callback that logs, at the start of a run or sweep, that it uses phantoms."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Log the data of all jobs."""
        doing = DOING.get(config.hydra.job.config_name, "taking")
        own = "data=folder data.root=FOLDER takes your own"
        log.info("no data named: %s phantoms in %s; %s", doing, config.data.root, own)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Log the data of a single run, in its log file, too."""
        if config.hydra.mode == RunMode.RUN and is_first():
            self.on_multirun_start(config)


def _key(argument: str) -> str:
    return argument.split("=")[0].lstrip("+~")


def _lacks_data(program: str, told: Namespace) -> bool:
    """Tell whether a command line, as Hydra parses it, composes and names no data anywhere."""
    search_path = create_config_search_path(str(CONF))
    if told.config_dir is not None:
        path, schema = f"file://{Path(told.config_dir).absolute()}", SearchPathQuery("schema")
        search_path.prepend("command-line", path, schema)
    loader, name = ConfigLoaderImpl(search_path), told.config_name or program

    def composed(overrides: Sequence[str]) -> DictConfig:
        named = ["hydra.job.name=unnamed", *overrides]
        return loader.load_configuration(name, named, RunMode.MULTIRUN)

    others = [one for one in told.overrides if not _key(one).startswith("data.")]
    if any(_names_data(composed([*others, *one])) for one in _experiments(others)):
        return False
    if len(others) < len(told.overrides):
        composed([*told.overrides, PHANTOMS])  # fails for settings of other data
    return True


def _names_data(config: DictConfig) -> bool:
    chosen = config.hydra.runtime.choices.data != DEFAULT
    given = not OmegaConf.is_missing(config.data, "root")
    return chosen or given or SWEPT.search(OmegaConf.to_yaml(config.hydra.sweeper)) is not None


def _experiments(overrides: Sequence[str]) -> list[list[str]]:
    """Overrides of each experiment in a sweep over experiments; else one empty list."""
    for one in OverridesParser.create().parse_overrides(list(overrides)):
        if one.is_sweep_override() and one.get_key_element() == "experiment":
            return [[f"experiment={value}"] for value in one.sweep_string_iterator()]
    return [[]]

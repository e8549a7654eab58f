"""Hydra programs whose bad input ends in one clear line and exit code 2."""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.conf import CONF
from pin_lightning.cli.ending import at_end, end, failed_jobs
from pin_lightning.cli.refusals import hydra_refusal
from pin_lightning.cli.streams import keep_writing
from pin_lightning.cli.tasks import one_line_errors
from pin_lightning.cli.unnamed_data import with_phantoms
from pin_lightning.distributed.process import asked_to_end
from pin_lightning.distributed.ranks import arguments_of_others

HELP = ("-h", "--help")


def start(program: str, task: Callable[[DictConfig], Any]) -> None:
    """Run a function of a config on the arguments of this process.

    Errors that Hydra raises before it begins end like bad input of the program itself: unknown
    settings, or a run folder that cannot be made.

    Args:
        program: Name of its config in `conf`.
        task: The function.
    """
    keep_writing()
    if any(argument in HELP for argument in sys.argv[1:]):
        from pin_lightning.cli.help import command_of, print_help

        print_help(program, command_of(program))
        return
    sys.argv[1:] = quote_arguments(sys.argv[1:])
    sys.argv[1:] = with_phantoms(program, sys.argv[1:])
    sys.argv += arguments_of_others(sys.argv[1:])
    logging.raiseExceptions = False  # a full disk would print a traceback for each log line
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets Hydra raise instead of ending the process
    main = hydra.main(config_path=str(CONF), config_name=program, version_base="1.3")
    try:
        with at_end:
            main(one_line_errors(task))()
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        if asked_to_end(error) is not None:
            raise
        refusal = hydra_refusal(error, program, sys.argv[1:])
        if refusal is None:
            raise
        end(refusal, error)
    if failed_jobs:
        raise SystemExit(2)

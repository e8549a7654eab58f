"""Hydra programs whose bad input ends in one clear line and exit code 2."""

import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.ending import at_end, end, failed_jobs
from pin_lightning.cli.failures import FAILED, in_sweep, write_failure
from pin_lightning.cli.refusals import hydra_refusal
from pin_lightning.cli.streams import keep_writing
from pin_lightning.cli.unnamed_data import with_phantoms
from pin_lightning.common.errors import user_mistake
from pin_lightning.distributed.process import asked_to_end, end_on_signals, keep_freed_memory
from pin_lightning.distributed.ranks import arguments_of_others

# Keys that users name themselves; Hydra takes a new key only after ``++``.
OPEN_SETTINGS = ("report.others.", "data.rename.names.", "data.rename.names=")
HELP, MULTIRUN = ("-h", "--help"), ("-m", "--multirun")


def quote_arguments(arguments: Sequence[str]) -> list[str]:
    """Quote values of command-line arguments that Hydra's grammar does not take bare.

    Paths may then hold letters of any language, brackets and equals signs; what exists is a path.
    Keys that users name themselves (`OPEN_SETTINGS`) get the ``++`` that Hydra asks for. ``-m`` may
    stand anywhere.

    >>> quote_arguments(["data.root=skulls (new)", "trainer.max_steps=5"])
    ["data.root='skulls (new)'", 'trainer.max_steps=5']
    """
    signed = [f"++{one}" if one.startswith(OPEN_SETTINGS) else one for one in arguments]
    quoted = [
        _quoted(one) if "=" in one and (_is_path(one) or not _parses(one)) else one
        for one in signed
    ]
    return sorted(quoted, key=lambda one: one not in MULTIRUN)


def _is_path(argument: str) -> bool:
    """Whether a value that Hydra would take for a list or a choice is the name of a file."""
    value = argument.split("=", 1)[1]
    return bool(set(value) & set("[{,(")) and Path(value).exists()


def _quoted(argument: str) -> str:
    setting, value = argument.split("=", 1)
    escaped = value.replace("'", "\\'")
    quoted = f"{setting}='{escaped}'"
    return quoted if _parses(quoted) else argument


def _parses(argument: str) -> bool:
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return True


def program(name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Decorator that makes a Hydra program of a function of its config in `conf`."""

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        main = hydra.main(config_path=str(CONF), config_name=name, version_base="1.3")
        return functools.partial(start, name, main(one_line_errors(task)))

    return decorate


def start(program: str, main: Callable[[], Any]) -> None:
    """Run a Hydra program on the arguments of this process.

    Errors that Hydra raises before the program begins end like bad input of the program itself:
    unknown settings, or a run folder that cannot be made. `main` is under `hydra.main`.
    """
    keep_writing()
    if any(argument in HELP for argument in sys.argv[1:]):
        from pin_lightning.cli.help import command_of, print_help

        print_help(program, command_of(program))
        return
    sys.argv[1:] = quote_arguments(sys.argv[1:])
    sys.argv[1:] = with_phantoms(program, sys.argv[1:])
    sys.argv += arguments_of_others(sys.argv[1:])
    keep_freed_memory()
    logging.raiseExceptions = False  # a full disk would print a traceback for each log line
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets Hydra raise instead of ending the process
    try:
        end_on_signals()
        with at_end:
            main()
    except BaseException as error:
        if (asked := asked_to_end(error)) is not None:
            print(f"error: ended by {asked[1]}", file=sys.stderr)
            raise SystemExit(asked[0]) from error
        refusal = hydra_refusal(error, program, sys.argv[1:]) if _may_be_refusal(error) else None
        if refusal is None:
            raise
        end(refusal, error)
    if failed_jobs:
        raise SystemExit(2)


def _may_be_refusal(error: BaseException) -> bool:
    return isinstance(error, HydraException | OmegaConfBaseException | ValueError | OSError)


def one_line_errors(program: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a Hydra task function: bad input prints one line instead of a traceback.

    Only errors that name a user's mistake are caught: `ValueError`, `OSError` and config errors.
    Anything else is a defect of this program and keeps its traceback. In a sweep, a job that fails
    for any reason returns None, so that the others go on, and writes the reason to a file for the
    process that closes the sweep (`studies.sweeps.closing`).
    """

    @functools.wraps(program)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if in_sweep():
            return _job(program, *args, **kwargs)
        try:
            return program(*args, **kwargs)
        except Exception as error:
            mistake = user_mistake(error)
            if mistake is None:
                raise
            end(mistake, error)

    return wrapper


def _job(program: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    (folder / FAILED).unlink(missing_ok=True)  # of an earlier sweep
    try:
        return program(*args, **kwargs)
    except SystemExit as error:
        if error.code != 2:  # the whole process has been asked to end
            raise
        mistake = "ended with exit code 2"
    except Exception as error:
        mistake = user_mistake(error) or f"{type(error).__name__}: {error}"
        if user_mistake(error) is None:
            traceback.print_exc()
    write_failure(folder, list(hydra_config.overrides.task), mistake)
    return None

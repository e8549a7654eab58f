"""How the command-line programs end: one clear line and exit code 2 on bad input."""

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pin_lightning.memory import keep_freed_memory
from pin_lightning.ranks import arguments_of_others, rank_name

CONF = Path(__file__).resolve().parents[1] / "conf"
# What users name themselves: Hydra takes a new key only with a sign for it.
OPEN_SETTINGS = ("report.others.",)


def quote_arguments(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments with a value in quotes where Hydra's grammar would not take it bare.

    Paths may then hold letters of any language, brackets and equals signs. A key that users name
    themselves (`OPEN_SETTINGS`) gets the sign that Hydra asks for.

    >>> quote_arguments(["data.root=skulls (new)", "trainer.max_steps=5"])
    ["data.root='skulls (new)'", 'trainer.max_steps=5']
    """
    signed = [f"++{one}" if one.startswith(OPEN_SETTINGS) else one for one in arguments]
    return [_quoted(one) if "=" in one and not _parses(one) else one for one in signed]


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


def start(main: Callable[[], Any]) -> None:
    """Run a Hydra program on the arguments of this process.

    What Hydra refuses before the program begins ends like bad input of the program itself: a name
    that is in no config, or a run folder that cannot be made.

    Args:
        main: A function under `hydra.main` and `one_line_errors`.
    """
    sys.argv[1:] = quote_arguments(sys.argv[1:])
    sys.argv += arguments_of_others(sys.argv[1:])
    keep_freed_memory()
    # Otherwise Hydra prints a traceback and ends the process itself.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        main()
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        refusal = _hydra_refusal(error)
        if refusal is None:
            raise
        _end(refusal, error)
    if _failed_jobs:
        raise SystemExit(2)


def _hydra_refusal(error: BaseException) -> str | None:
    """The one line for what Hydra refused, none for a defect that the program let through."""
    if isinstance(error, InstantiationException):  # of a sweeper or a launcher
        return user_mistake(error) if isinstance(error.__cause__, ValueError) else None
    if isinstance(error, HydraException):
        said = " ".join(str(part) for part in (error, error.__cause__) if part is not None)
        return f"config: {' '.join(said.split('Config search path')[0].split())}"
    cause = error.__cause__ or error  # the log file's handler wraps the OSError
    if isinstance(cause, OSError):
        return f"run_dir: {cause.filename}: {cause.strerror}; give a folder that can be written to"
    return user_mistake(error) if isinstance(error, OmegaConfBaseException) else None


_failed_jobs: list[str] = []  # of the sweep that this process runs


def note_failure(mistake: str) -> None:
    """Print the one line of a job or a table that failed; the sweep ends with exit code 2."""
    print(f"error: {mistake}", file=sys.stderr)
    _failed_jobs.append(mistake)


def _in_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _end(mistake: str, error: BaseException) -> NoReturn:
    name = rank_name()
    print(f"error: {name}: {mistake}" if name else f"error: {mistake}", file=sys.stderr)
    raise SystemExit(2) from error


def one_line_errors(program: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a Hydra task function so that bad input prints one line instead of a traceback.

    Only errors that name a user's mistake are caught: `ValueError`, `OSError` and config errors.
    Anything else is a defect of this program and keeps its traceback. In a sweep, a job that fails
    for whatever reason ends with None, so that the others go on; the sweep ends with exit code 2.
    """

    @functools.wraps(program)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return program(*args, **kwargs)
        except Exception as error:
            mistake = user_mistake(error)
            if mistake is None and not _in_sweep():
                raise
            if mistake is None:  # a defect, or no memory left
                traceback.print_exc()
                mistake = f"{type(error).__name__}: {error}"
            if not _in_sweep():
                _end(mistake, error)
            note_failure(mistake)
            return None

    return wrapper


def user_mistake(error: BaseException) -> str | None:
    """The one line to print for an error, none when it is not the user's.

    Hydra wraps what a constructor raises; the cause says what is wrong.
    """
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        return user_mistake(cause) if cause is not None else str(error).splitlines()[0]
    if isinstance(error, OmegaConfBaseException):
        return f"config: {str(error).splitlines()[0]}"
    if isinstance(error, ValueError | OSError):
        return " ".join(str(error).split())
    return None


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

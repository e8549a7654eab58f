"""The one line in which a program refuses what is wrong with its command line or its input."""

import re
from collections.abc import Sequence

from hydra.errors import HydraException, InstantiationException

from pin_lightning.common.errors import user_mistake

# What Hydra says of an option and of a setting that there is not.
NO_OPTION = re.compile(r"Could not find '(?P<group>[^']+)/(?P<option>[^'/]+)'")
NO_SETTING = re.compile(r"Could not override '(?P<key>[^']+)'")
NO_PLUGIN = re.compile(r"In '(?P<option>[^']+)': Could not load '(?P=option)_plugin'")


def hydra_refusal(error: BaseException, program: str, arguments: Sequence[str]) -> str | None:
    """The one line for what Hydra refused, none for a defect that the program let through.

    Args:
        error: What Hydra raised before or beside the program.
        program: Name of the program's config, such as ``train``.
        arguments: Its command line.
    """
    if isinstance(error, InstantiationException):  # of a sweeper or a launcher
        return user_mistake(error) if isinstance(error.__cause__, ValueError) else None
    if isinstance(error, HydraException):
        return _of_config(error, program, arguments)
    cause = error.__cause__ or error  # the log file's handler wraps the OSError
    if isinstance(cause, OSError):
        return f"run_dir: {cause.filename}: {cause.strerror}; give a folder that can be written to"
    return user_mistake(error)


def _of_config(error: HydraException, program: str, arguments: Sequence[str]) -> str:
    from pin_lightning.cli.nearest import no_such_option, no_such_setting

    message = str(error)
    if found := NO_PLUGIN.search(message):
        group, option = found["option"].rsplit("/", 1)
        extra = "optuna" if option == "optuna" else "sweep"
        return f"{group}={option}: is not installed; pip install 'pin-lightning[{extra}]'"
    if found := NO_OPTION.search(message):
        return no_such_option(found["group"], found["option"])
    if found := NO_SETTING.search(message):
        return no_such_setting(found["key"], program, arguments)
    said = " ".join(str(part) for part in (error, error.__cause__) if part is not None)
    return f"config: {' '.join(said.split('Config search path')[0].split())}"

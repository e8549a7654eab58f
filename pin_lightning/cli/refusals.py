"""Error lines for command lines that Hydra refuses."""

import re
from collections.abc import Sequence

from hydra.errors import HydraException, InstantiationException

from pin_lightning.common.errors import user_mistake

# Hydra's messages on unknown options, unknown settings and plugins that are not installed.
NO_OPTION = re.compile(r"Could not find '(?P<group>[^']+)/(?P<option>[^'/]+)'")
NO_SETTING = re.compile(r"Could not override '(?P<key>[^']+)'")
NO_PLUGIN = re.compile(r"In '(?P<option>[^']+)': Could not load '(?P=option)_plugin'")


def hydra_refusal(error: BaseException, program: str, arguments: Sequence[str]) -> str | None:
    """Error line for an exception outside the task function of a program, None for a defect."""
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

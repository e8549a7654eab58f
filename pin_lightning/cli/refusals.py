"""Error lines for command lines that Hydra refuses, with the closest existing option or setting."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.errors import HydraException, InstantiationException
from omegaconf import OmegaConf

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.config_tree import composed, groups_of, option_names
from pin_lightning.common.errors import user_mistake

SIMILAR, ALIKE = 0.6, 0.75  # similarity ratios of difflib
MOST = 3  # suggestions

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


def no_such_option(group: str, option: str) -> str:
    """Error line for an unknown option, with the closest one."""
    if not (names := option_names(group)):
        return f"{group}={option}: there is no such group of options"
    near = get_close_matches(option.lower(), [one.lower() for one in names], n=1, cutoff=SIMILAR)
    near = [one for one in names if one.lower() in near]
    meant = f"did you mean {group}={near[0]}? There" if near else "there"
    return f"{group}={option}: there is no such option; {meant} are {', '.join(names)}"


def no_such_setting(key: str, program: str, arguments: Sequence[str]) -> str:
    """Error line for an unknown setting or group, with the closest one of the program.

    The options among the arguments decide which settings the program has.
    """
    refused = f"{key}: there is no such setting or group"
    groups = list(groups_of(program))
    if "." not in key and (near := get_close_matches(key, groups, n=1, cutoff=SIMILAR)):
        return f"{refused}; did you mean {near[0]}? There are {', '.join(option_names(near[0]))}"
    chosen = [one for one in arguments if _chooses_option(one)]
    if group := _left_out(key, program, chosen):
        return f"{key}: there is no {group} with {' '.join(chosen)}; leave it out"
    elsewhere = _of_other_options(key, program, groups)
    if key in elsewhere:
        return f"{key}: is a setting of {' or '.join(elsewhere[key])}; give that, or leave it out"
    keys = _keys(program, chosen)
    of_hydra = key.startswith("hydra.")
    if meant := meant_by(key, [one for one in keys if one.startswith("hydra.") == of_hydra]):
        return f"{refused}; did you mean {' or '.join(meant)}?"
    if near := get_close_matches(key, elsewhere, n=1, cutoff=ALIKE):
        return f"{refused}; did you mean {near[0]}, of {' or '.join(elsewhere[near[0]])}?"
    return f"{refused}; --help lists what this program has"


def meant_by(key: str, keys: Sequence[str]) -> list[str]:
    """At most three existing settings for a wrong name, the best match first.

    A name may be in the wrong place (``alpha``), misspelt (``model.alhpa``), or both (``alhpa``).

    >>> keys = ["model.alpha", "model.optimizer.lr", "trainer.max_steps"]
    >>> meant_by("alhpa", keys), meant_by("model.lr", keys), meant_by("loader.max_steps", keys)
    (['model.alpha'], ['model.optimizer.lr'], ['trainer.max_steps'])
    """
    *_, end = parts = key.split(".")
    keys = [one for one in keys if not key.startswith(f"{one}.")]  # not its own parents
    same_end = [one for one in keys if one.split(".")[-1] == end]
    if inside := [one for one in same_end if set(parts) <= set(one.split("."))]:
        return inside[:MOST]
    if same_end:
        return get_close_matches(key, same_end, n=MOST, cutoff=0)
    if near := get_close_matches(key, keys, n=1, cutoff=ALIKE):
        return near
    ends = get_close_matches(end, {one.split(".")[-1] for one in keys}, n=1, cutoff=ALIKE)
    return [one for one in keys if one.split(".")[-1] in ends][:MOST]


def _left_out(key: str, program: str, chosen: Sequence[str]) -> str | None:
    """Group of a setting that the chosen options leave out, as a system has no network of PIN."""
    groups = [one for one, default in groups_of(program).items() if default is not None]
    group = next((one for one in groups if key.startswith(f"{one.replace('/', '.')}.")), None)
    if group is None:
        return None
    try:
        return None if composed(program, chosen).hydra.runtime.choices[group] else group
    except HydraException:
        return None


def _of_other_options(key: str, program: str, groups: Sequence[str]) -> dict[str, list[str]]:
    """Settings of all options of the group in a setting's name, each with these options."""
    group = next((one for one in groups if key.startswith(f"{one.replace('/', '.')}.")), None)
    found: dict[str, list[str]] = {}
    for choice in [] if group is None else [f"{group}={one}" for one in option_names(group)]:
        for name in _keys(program, [choice]):
            found.setdefault(name, []).append(choice)
    return found


def _chooses_option(argument: str) -> bool:
    group, _, option = argument.lstrip("+").partition("=")
    return bool(group) and (CONF / group).is_dir() and option in option_names(group)


def _keys(program: str, overrides: Sequence[str]) -> list[str]:
    """Dotted names of all settings of a program."""

    def names(node: Any, path: str) -> list[str]:
        own = [path.removeprefix(".")] if path else []
        if not isinstance(node, Mapping):
            return own
        return own + [name for key in node for name in names(node[key], f"{path}.{key}")]

    try:
        config = composed(program, overrides)
    except HydraException:  # such as an option whose plugin is not installed
        config = composed(program)
    return names(OmegaConf.to_container(config, resolve=False), "")

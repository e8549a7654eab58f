"""Arguments of the command line as Hydra takes them."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# Keys that users name themselves; Hydra takes a new key only after ``++``.
OPEN_SETTINGS = ("report.others.", "data.rename.names.", "data.rename.names=")
MULTIRUN = ("-m", "--multirun")


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

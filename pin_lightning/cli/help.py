"""What ``--help`` prints: what a program does, its config tree, its settings with comments."""

import re
import sys
import textwrap
from itertools import groupby
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.config_tree import options_of

# Top-level keys of a config that say how it is composed, and nothing that a user would set.
COMPOSITION = ("defaults", "hydra")


def print_help(program: str, command: str) -> None:
    """Print the help of a program, as wide as the terminal.

    Args:
        program: Name of its config, such as ``train``.
        command: How it is called, such as ``python train.py``.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    introduction, own = read_config(program)
    own_command = f"pin-lightning {program.replace('_', '-')}"  # as the configs write it
    console.print(introduction.replace(own_command, command), soft_wrap=True)
    if options := options_of(program):
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for header in ("GROUP", "OPTION", "WHAT IT IS FOR"):
            table.add_column(header, overflow="fold", no_wrap=header != "WHAT IT IS FOR")
        for group, members in groupby(options, lambda one: one.group):
            for index, one in enumerate(members):
                name = f"{one.name} *" if one.is_default else f"{one.name}"
                table.add_row(*map(Text, ("" if index else group, name, one.purpose)))
        console.print("\nGROUP=OPTION takes an option; * are those taken otherwise.\n")
        console.print(table)
    for name in (program, *parents_of(program)):
        settings = own if name == program else read_config(name)[1]
        if settings:
            heading = "KEY=VALUE sets" if name == program else f"Settings of {name}, too"
            console.print(f"\n{heading} (null: from the data, or none; ???: to be given):\n")
            console.print(wrapped(settings, console.width), soft_wrap=True)
    console.print(
        f"\n{command} GROUP=OPTION --cfg job prints every value; "
        f"--hydra-help what Hydra itself can do.",
        soft_wrap=True,
    )


def parents_of(program: str) -> list[str]:
    """Configs that the config of a program begins with, and those that they begin with."""
    config = OmegaConf.load(CONF / f"{program}.yaml")
    defaults = OmegaConf.select(config, "defaults", default=[])
    own = [one for one in defaults if isinstance(one, str) and one != "_self_"]
    return [name for parent in own for name in (parent, *parents_of(parent))]


def read_config(program: str) -> tuple[str, str]:
    """The introduction of a program's config and its settings, both as they are written there.

    The introduction is the comment that it begins with, up to a line that is none.
    """
    lines = (CONF / f"{program}.yaml").read_text(encoding="utf-8").splitlines()
    length = next(i for i, line in enumerate([*lines, ""]) if not line.startswith("#"))
    introduction = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[:length])
    return introduction, _without(COMPOSITION, lines[length:])


def _without(keys: tuple[str, ...], lines: list[str]) -> str:
    """YAML lines without the blocks of some top-level keys."""
    kept, inside = [], False
    for line in lines:
        if line and not line.startswith(" "):
            inside = line.split(":")[0] in keys
        if not inside:
            kept.append(line)
    return "\n".join(kept).strip("\n")


def wrapped(settings: str, width: int) -> str:
    r"""YAML whose comments are no wider than the terminal.

    >>> print(wrapped("  # one two three\n  a: 1", 12))
      # one two
      # three
      a: 1
    """
    lines = []
    for line in settings.splitlines():
        if comment := re.match(r"( *)# (.*)", line):
            start = f"{comment[1]}# "
            lines += textwrap.wrap(comment[2], width, initial_indent=start, subsequent_indent=start)
        else:
            lines.append(line)
    return "\n".join(lines)


def command_of(program: str) -> str:
    """How a program is called: as it was called, by a script of a checkout or the console command.

    Args:
        program: Name of its config, such as ``cross_validate``.
    """
    script = Path(sys.argv[0]).name
    if script == f"{program}.py" and program in ("train", "infer"):
        return f"python {script}"
    return f"pin-lightning {program.replace('_', '-')}"

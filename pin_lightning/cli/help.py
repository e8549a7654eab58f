"""Text of ``--help``: purpose of the program, its config tree, its settings with comments."""

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
from pin_lightning.common.shown_table import print_table

# Top-level keys of a config that compose it; users do not set them.
COMPOSITION = ("defaults", "hydra")


def print_help(program: str, command: str) -> None:
    """Print the help of a program such as ``train``, as wide as the terminal."""
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
        print_table(table, console)
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
    """Configs that the config of a program inherits from, directly or indirectly."""
    config = OmegaConf.load(CONF / f"{program}.yaml")
    defaults = OmegaConf.select(config, "defaults", default=[])
    own = [one for one in defaults if isinstance(one, str) and one != "_self_"]
    return [name for parent in own for name in (parent, *parents_of(parent))]


def read_config(program: str) -> tuple[str, str]:
    """The introductory comment of a program's config, and its settings as they are written."""
    lines = (CONF / f"{program}.yaml").read_text(encoding="utf-8").splitlines()
    length = next(i for i, line in enumerate([*lines, ""]) if not line.startswith("#"))
    introduction = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[:length])
    settings, in_composition = [], False
    for line in lines[length:]:
        if line and not line.startswith(" "):
            in_composition = line.split(":")[0] in COMPOSITION
        if not in_composition:
            settings.append(line)
    return introduction, "\n".join(settings).strip("\n")


def wrapped(settings: str, width: int) -> str:
    r"""Wrap the comments of a YAML text at the width of the terminal.

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
    """Command of a program: its script if this process runs it, else the console command."""
    script = Path(sys.argv[0]).name
    if script == f"{program}.py" and program in ("train", "infer"):
        return f"python {script}"
    return f"pin-lightning {program.replace('_', '-')}"

"""The config tree as a table; ``python -m pin_lightning.cli.config_tree`` writes it to the docs.

The files of `conf` are the only source: the first comment of an option is its description.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from pin_lightning.cli.conf import CONF

PAGE = CONF.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- config tree -->", "<!-- end of the config tree -->"
BASE = "base"  # settings that the options of a group share, not an option
HYDRA = "hydra/"
TABLE = ".GatherJobs"  # callback that closes a sweep with a table
# Options that Hydra brings itself, without a file in `conf`.
BUILT_IN = {
    "hydra/launcher": ("basic", "One job after the other."),
    "hydra/sweeper": ("basic", "Every combination of the swept values."),
}


@dataclass(frozen=True)
class Option:
    """An option of a config group such as ``shape`` or ``hydra/launcher``."""

    group: str
    name: str
    purpose: str
    is_default: bool


def options_of(program: str) -> list[Option]:
    """Options of all groups that a program such as ``train`` uses, defaults first."""
    return [one for group, chosen in groups_of(program).items() for one in _options(group, chosen)]


def groups_of(program: str) -> dict[str, str | None]:
    """Config groups of a program with their defaults, in the order of its config.

    Groups of Hydra are listed for programs that close a sweep with a table.
    """
    config = composed(program)
    choices = dict(config.hydra.runtime.choices)
    groups = [group for group in reversed(choices) if not group.startswith(HYDRA)]
    if any(one._target_.endswith(TABLE) for one in config.hydra.callbacks.values()):
        groups += [group for group in choices if group.startswith(HYDRA)]
    return {group: choices[group] for group in groups if (CONF / group).is_dir()}


def composed(program: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The config of a program with Hydra's part, as a command line would compose it.

    In a program of Hydra, too, whose own state is the same afterwards.
    """
    own = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(program, overrides=list(overrides), return_hydra_config=True)
    finally:
        GlobalHydra.instance().hydra = own


def option_names(group: str) -> list[str]:
    """Names of the options of a group."""
    names = [path.stem for path in (CONF / group).glob("*.yaml") if path.stem != BASE]
    return sorted([*names, *BUILT_IN.get(group, ())[:1]])


def purpose(path: Path) -> str:
    """First comment of a YAML file, after the line that names its package.

    Raises:
        ValueError: It has none.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next((line for line in lines if not line.startswith("# @package")), "")
    if not first.startswith("# "):
        raise ValueError(f"{path}: has no description; begin it with a comment")
    return first.removeprefix("# ")


def _options(group: str, chosen: str | None) -> Iterator[Option]:
    for name in sorted(option_names(group), key=lambda name: name != chosen):
        built_in, text = BUILT_IN.get(group, (None, ""))
        if name != built_in:
            text = purpose(CONF / group / f"{name}.yaml")
        yield Option(group, name, text, name == chosen)


def markdown_table(options: Sequence[Option]) -> str:
    """Options as a Markdown table; a group is named in its first row."""
    lines = ["| group | option | what it is for |", "|---|---|---|"]
    for group, own in groupby(options, lambda one: one.group):
        for index, one in enumerate(own):
            name = f"**`{one.name}`**" if one.is_default else f"`{one.name}`"
            cells = ("" if index else f"`{group}`", name, one.purpose.replace("|", r"\|"))
            lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """Replace the table between the markers of a page.

    Raises:
        ValueError: The page has no markers.
    """
    if (found := re.search(f"{BEGIN}.*{END}", page, re.DOTALL)) is None:
        raise ValueError(f"{PAGE}: has no {BEGIN} and {END}; put them where the table belongs")
    table = f"{BEGIN}\n{markdown_table(options_of('train'))}{END}"
    return page[: found.start()] + table + page[found.end() :]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

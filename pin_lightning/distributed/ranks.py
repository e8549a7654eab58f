"""Ranks of processes that were started together, and the share of each in the work."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

# Variables with numbers from 0, set by torchrun, SLURM, the user of several machines and Lightning.
_NUMBERS = {"RANK": "rank", "SLURM_PROCID": "rank", "NODE_RANK": "node", "LOCAL_RANK": "rank"}


def rank_name() -> str:
    """Name of this process, such as ``rank 1``; empty for the first or only one."""
    for variable, word in _NUMBERS.items():
        number = os.environ.get(variable, "0")
        if number != "0":
            return f"{word} {number}"
    return ""


def is_first() -> bool:
    """Tell whether this is the process that writes and reports results, and goes on alone."""
    return rank_name() == ""


def arguments_of_others(given: Sequence[str]) -> list[str]:
    """Hydra overrides by which all processes but the first write no file and make no folder.

    Without a run folder on the command line its name depends on the second in which a process
    began, so the others get none.

    >>> arguments_of_others(["run_dir=here"])
    []
    """
    if is_first():
        return []
    known = any(one.startswith(("run_dir=", "hydra.run.dir=")) for one in given)
    return [
        "hydra.job_logging.root.handlers=[console]",
        "++hydra.job_logging.handlers.file.delay=true",  # not written to, so not made
        "hydra.output_subdir=null",
        *([] if known else ["hydra.run.dir=."]),
    ]


@dataclass(frozen=True)
class Shard:
    """The share of one process: every `count`-th item, from the `rank`-th on (from 0).

    The processes are spread evenly over `machines`.

    >>> Shard(1, 2).of("abcde")
    'bd'
    """

    rank: int = 0
    count: int = 1
    machines: int = 1

    @property
    def rows(self) -> slice:
        """Slice of the items of this process; the processes partition all items."""
        return slice(self.rank, None, self.count)

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items of this process."""
        return items[self.rows]

    def within(self, block: slice) -> tuple[slice, slice]:
        """Slices of this process's items that lie in a block of all: among its own, in the block.

        >>> Shard(1, 2).within(slice(2, 6))
        (slice(1, 3, None), slice(1, None, 2))
        """
        begin, end = (-(-(place - self.rank) // self.count) for place in (block.start, block.stop))
        first = begin * self.count + self.rank - block.start
        return slice(begin, end), slice(first, None, self.count)


WHOLE = Shard()

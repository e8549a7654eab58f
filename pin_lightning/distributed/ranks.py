"""Ranks of processes that were started together, and the share of the work of each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

# Numbers from 0, which torchrun, SLURM, the user of several machines and Lightning set.
_NUMBERS = {"RANK": "rank", "SLURM_PROCID": "rank", "NODE_RANK": "node", "LOCAL_RANK": "rank"}


def rank_name() -> str:
    """What this process is called, such as ``rank 1``; empty for the first, or only, one."""
    for variable, word in _NUMBERS.items():
        number = os.environ.get(variable, "0")
        if number != "0":
            return f"{word} {number}"
    return ""


def is_first() -> bool:
    """Whether this process is the one that writes results, tells of them, and goes on alone."""
    return rank_name() == ""


def arguments_of_others(given: Sequence[str]) -> list[str]:
    """What Hydra is told in all processes but the first: they leave no file and no folder.

    Args:
        given: What all were told. A run folder in it is that of all; else its name is of the second
            in which a process began, and the others have none.

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
    """The part of one process: every `count`-th item, from the `rank`-th on.

    Attributes:
        rank: Number of the process, from 0.
        count: Processes that share the work.
        machines: Machines that these are spread over, as many on each.

    >>> Shard(1, 2).of("abcde")
    'bd'
    """

    rank: int = 0
    count: int = 1
    machines: int = 1

    @property
    def rows(self) -> slice:
        """Where the items of this process are; no two processes share one, all have all."""
        return slice(self.rank, None, self.count)

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items of this process."""
        return items[self.rows]

    def within(self, block: slice) -> tuple[slice, slice]:
        """Where the items of this process that lie in a block of all are: among its own, and there.

        >>> Shard(1, 2).within(slice(2, 6))
        (slice(1, 3, None), slice(1, None, 2))
        """
        begin, end = (-(-(place - self.rank) // self.count) for place in (block.start, block.stop))
        first = begin * self.count + self.rank - block.start
        return slice(begin, end), slice(first, None, self.count)


WHOLE = Shard()

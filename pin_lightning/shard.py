"""Which part of the work one of several processes does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """The part of one process: every `count`-th item, from the `rank`-th on.

    Attributes:
        rank: Number of the process, from 0.
        count: Processes that share the work.

    >>> Shard(1, 2).of("abcde")
    'bd'
    """

    rank: int = 0
    count: int = 1

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items of this process; no two processes share one, and together they have all."""
        return items[self.rank :: self.count]


WHOLE = Shard()

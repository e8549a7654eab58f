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

"""Files that are read by threads while others are worked on."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

Reading = TypeVar("Reading")


@contextmanager
def read_ahead(
    read: Callable[[Path], Reading], paths: Iterator[Path], ahead: int, readers: int
) -> Iterator[Iterator[tuple[Path, Reading]]]:
    """Files read by threads, in their order; what has not begun at the end is left out.

    Args:
        read: What a thread does with a path.
        paths: Taken as they are needed.
        ahead: Files that are read, or wait to be fetched, at a time.
        readers: Threads.
    """
    pool = ThreadPoolExecutor(readers, "reader")
    try:
        yield _in_order(pool, read, paths, ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor,
    read: Callable[[Path], Reading],
    paths: Iterator[Path],
    ahead: int,
) -> Iterator[tuple[Path, Reading]]:
    pending = deque((path, pool.submit(read, path)) for path in islice(paths, ahead))
    while pending:
        path, future = pending.popleft()
        reading = future.result()
        pending.extend((path, pool.submit(read, path)) for path in islice(paths, 1))
        yield path, reading
        del future, reading  # or the volume would live on while the next one is waited for

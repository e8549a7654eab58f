"""Read files in threads while others are worked on."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

Reading = TypeVar("Reading")


def read_ahead(
    read: Callable[[Path], Reading], paths: Iterator[Path], ahead: int, readers: int
) -> Generator[tuple[Path, Reading], None, None]:
    """Read files in threads, in their order; close the generator to end the threads early.

    Args:
        read: Reads one file.
        paths: Files, taken as they are needed.
        ahead: Files that are read, or wait to be fetched, at a time.
        readers: Threads.
    """
    pool = ThreadPoolExecutor(readers, "reader")
    pending: deque[tuple[Path, Future[Reading]]] = deque()
    try:
        pending.extend((path, pool.submit(read, path)) for path in islice(paths, ahead))
        while pending:
            path, future = pending.popleft()
            reading = future.result()
            pending.extend((path, pool.submit(read, path)) for path in islice(paths, 1))
            yield path, reading
            del future, reading  # or the volume would live on while the next one is waited for
    finally:
        pool.shutdown(cancel_futures=True)

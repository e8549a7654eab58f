"""Read files in threads while others are worked on."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

File = TypeVar("File")
Reading = TypeVar("Reading")


def read_ahead(
    read: Callable[[File], Reading], files: Iterator[File], ahead: int, readers: int
) -> Generator[tuple[File, Reading], None, None]:
    """Read files in threads, in their order; close the generator to end the threads early.

    Args:
        read: Reads one file.
        files: Files, taken as they are needed.
        ahead: Files that are read, or wait to be fetched, at a time.
        readers: Threads.
    """
    pool = ThreadPoolExecutor(readers, "reader")
    pending: deque[tuple[File, Future[Reading]]] = deque()
    try:
        pending.extend((file, pool.submit(read, file)) for file in islice(files, ahead))
        while pending:
            file, future = pending.popleft()
            reading = future.result()
            pending.extend((file, pool.submit(read, file)) for file in islice(files, 1))
            yield file, reading
            del future, reading  # or the volume would live on while the next one is waited for
    finally:
        pool.shutdown(cancel_futures=True)

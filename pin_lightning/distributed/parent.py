"""Lines that the process that started this one writes, and an end of this process with it."""

import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator
from typing import IO

from pin_lightning.distributed.process import EXIT_CODE


def lines_of_parent(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines from the parent, each as it comes; once the parent has ended, this process ends.

    The system closes a pipe when the process at its other end is gone, killed or not. A thread
    waits for that, so that this process ends at once, in the middle of whatever it does, and with
    it the processes that it has started by `multiprocessing`.

    Args:
        stream: Pipe that the parent alone can write to, and never closes while it lives.
    """
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(stream, lines), daemon=True).start()
    return iter(lines.get, b"")


def _listen(stream: IO[bytes], lines: "queue.Queue[bytes]") -> None:
    for line in stream:
        lines.put(line)
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(EXIT_CODE)

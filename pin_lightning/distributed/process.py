"""Settings of this process: freed memory is kept, and SIGTERM ends it in order (exit code 143)."""

import ctypes
import os
import platform
import signal
import threading
from typing import NoReturn

EXIT_CODE = 128 + signal.SIGTERM  # as a shell reports it
_saves_first = False

# Options of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc keep what tensors free for the next ones, instead of returning it to the system.

    By default every block above 32 MB is mapped anew, and the system clears each of its pages on
    first use: a fifth of a training step of the paper's size on the CPU. For programs that train or
    predict and then end; call it early.

    Returns:
        Whether it took effect; other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # One arena: threads that read volumes take what training has freed.
    options = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _ARENA_MAX: 1}
    return all(mallopt(option, value) for option, value in options.items())


def end_on_sigterm() -> None:
    """End this process in order on SIGTERM, with `EXIT_CODE`: files appear whole or not at all.

    SIGUSR1, by which schedulers warn, does the same. While a training can save itself
    (`postpone_end`), Lightning lets it finish its step.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
        if hasattr(signal, "SIGUSR1"):
            # Lightning's own handler, on SLURM, would save in the middle of a step.
            signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def postpone_end(until_saved: bool) -> None:
    """Say whether a training will end itself, with its state saved, once it is asked to end."""
    global _saves_first
    _saves_first = until_saved


def _end(*_: object) -> None:
    # Lightning calls this, too, after it has taken note of the signal.
    if not _saves_first:
        _exit()


def _exit() -> NoReturn:
    raise SystemExit(EXIT_CODE)

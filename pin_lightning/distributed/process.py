"""Settings of this process: memory allocation, and an orderly end on SIGTERM (exit code 143)."""

import ctypes
import os
import platform
import signal
import threading

EXIT_CODE = 128 + signal.SIGTERM  # the shell's convention
_saves_first = False

# Options of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next tensors instead of returning it to the system.

    By default every block above 32 MB is mapped anew, and the system clears each of its pages on
    first use: a fifth of a training step of the paper's size on the CPU. For programs that train or
    predict and then end; call it early. Returns False for other C libraries, without the options.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # One arena: threads that read volumes reuse the memory that training frees.
    options = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _ARENA_MAX: 1}
    return all(mallopt(option, value) for option, value in options.items())


def end_on_sigterm() -> None:
    """End this process in order on SIGTERM, with `EXIT_CODE`, leaving no file half written.

    SIGUSR1, the warning of schedulers, does the same. While a training can save itself
    (`postpone_end`), Lightning lets it finish its step.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
        if hasattr(signal, "SIGUSR1"):
            # Lightning's own handler on SLURM would save in the middle of a step.
            signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def postpone_end(until_saved: bool) -> None:
    """Set whether a training saves its state and ends itself once it is asked to end."""
    global _saves_first
    _saves_first = until_saved


def _end(*_: object) -> None:
    # Lightning calls this, too, after it has noted the signal.
    if not _saves_first:
        raise SystemExit(EXIT_CODE)

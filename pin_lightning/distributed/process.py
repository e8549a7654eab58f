"""Settings of this process: memory allocation, and an orderly end on SIGTERM and Ctrl-C."""

import ctypes
import functools
import gc
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM  # the shell's convention
SECONDS_TO_END = 4.0
_TICK_S = 0.1
_saves_first = False  # see `postpone_end`
_ending = False  # SystemExit has been raised
_interrupted = False  # by Ctrl-C

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


def return_freed_memory() -> bool:
    """Return to the system, this once, what this process has freed so far.

    Between work of different kinds: what small pieces have left does not hold a large block.
    Returns False for C libraries other than glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    ctypes.CDLL(None).malloc_trim(0)
    return True


@contextmanager
def importing() -> Iterator[None]:
    """Context in which heavy libraries are imported: garbage is looked for once, at the end.

    Python would look for it again and again as their millions of objects are made, a seventh of the
    time that the imports take, and among all of them whenever it looks later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def end_on_signals() -> None:
    """End this process in order when it is asked to, leaving no file half written.

    On SIGTERM and on SIGUSR1, the warning of schedulers, with `EXIT_CODE`; Ctrl-C does the same,
    see `asked_to_end`. While a training can save itself (`postpone_end`), Lightning lets it finish
    its step. Otherwise SystemExit is raised where the process is, and again only where Python
    ignores it, as in a destructor; if it has not ended
    `SECONDS_TO_END` later, because that was in a long call or a callback that swallowed it, the
    process is ended from a thread.
    """
    global _ending, _interrupted
    if threading.current_thread() is not threading.main_thread():
        return
    _ending = _interrupted = False
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _interrupt)
    if hasattr(signal, "SIGUSR1"):
        # Lightning's own handler on SLURM would save in the middle of a step.
        signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    _watch()


def ignore_signals() -> None:
    """Let the signals of `end_on_signals` change nothing from here on: what was to be done is done.

    Python would restore their defaults while it takes down its modules: the process would be
    killed without a word.
    """
    for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def asked_to_end(error: BaseException) -> tuple[int, str] | None:
    """Exit code and name of the signal that has asked this process to end; None if none has.

    Args:
        error: What ends it. Libraries make other errors of the SystemExit that is raised in them.
    """
    if not _ending and getattr(error, "code", None) != EXIT_CODE:
        return None
    return _by_signal()


def _by_signal() -> tuple[int, str]:
    return (128 + signal.SIGINT, "Ctrl-C") if _interrupted else (EXIT_CODE, "SIGTERM")


def postpone_end(until_saved: bool) -> None:
    """Set whether a training, here or in a process that is waited for, saves its state first.

    It ends itself once it is asked to end; until then this process is not ended either.
    """
    global _saves_first
    _saves_first = until_saved


def _end(*_: object) -> None:
    global _ending
    # Lightning calls this, too, after it has noted the signal.
    if not _saves_first and not _ending:
        _ending = True
        raise SystemExit(EXIT_CODE)


@functools.cache
def _watch() -> None:
    """Start the thread that ends this process where `_end` cannot."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # A forked process would write its own signals into this pipe.
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    sys.unraisablehook = functools.partial(_raise_later, sys.unraisablehook)
    threading.Thread(target=_end_at_the_latest, args=(reading,), daemon=True).start()


def _raise_later(otherwise: Callable[[Any], object], ignored: Any) -> None:
    """Raise again soon what `_end` raised where Python ignores it, as in destructors."""
    global _ending
    if not _ending or ignored.exc_type is not SystemExit:
        otherwise(ignored)
        return
    _ending = False
    again = threading.Timer(_TICK_S, os.kill, (os.getpid(), signal.SIGTERM))
    again.daemon = True
    again.start()


def _interrupt(*_: object) -> None:
    """Treat Ctrl-C as SIGTERM, for which there are handlers that save or tell other processes."""
    global _interrupted
    _interrupted = True
    os.kill(os.getpid(), signal.SIGTERM)


def _end_at_the_latest(reading: int) -> None:
    """Wait for a signal, whatever the main thread does, and end this process if it does not."""
    while os.read(reading, 1)[0] not in (signal.SIGTERM, signal.SIGINT):
        pass
    ends = time.monotonic() + SECONDS_TO_END
    while time.monotonic() < ends:
        time.sleep(_TICK_S)
        if _saves_first:
            ends = time.monotonic() + SECONDS_TO_END
    code, name = _by_signal()
    for child in multiprocessing.active_children():
        child.kill()
    print(f"error: ended by {name}", file=sys.stderr, flush=True)
    os._exit(code)

"""What SIGTERM does, by which schedulers ask a job to end: save what there is, exit with 143."""

import os
import signal
import threading
from typing import NoReturn

EXIT_CODE = 128 + signal.SIGTERM  # as a shell reports it

_saves_first = False


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

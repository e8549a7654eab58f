"""Processes of trainings: begun so that they outlive the server, ended with all that they began."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from pin_lightning.annotation.learning.training_folder import (
    CANCELLED,
    JOB,
    is_at_work,
    locked,
    read_object,
)
from pin_lightning.common.files import write_json

SECONDS_TO_END = 20.0  # before it is killed


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """Begin, or go on with, the training of a folder, as the leader of a process group.

    Raises:
        ValueError: One is at work in the folder.
    """
    lock = locked(folder)
    try:
        (folder / CANCELLED).unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "pin_lightning.annotation.learning.job", str(folder), str(lock)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock,),
        )
    finally:
        os.close(lock)
    write_json(folder / JOB, {"pid": process.pid})
    return process


def end(folder: Path) -> None:
    """End the process group of a training, if it is at work: asked first, then killed."""
    pid = read_object(folder / JOB).get("pid")
    if not isinstance(pid, int) or not is_at_work(folder):
        return
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
        until = time.monotonic() + SECONDS_TO_END
        while is_at_work(folder) and time.monotonic() < until:
            time.sleep(0.1)
        os.killpg(pid, signal.SIGKILL)  # what is left of it

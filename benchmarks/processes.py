"""The real programs in processes of their own: how long they took, and their peak memory."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

REPOSITORY = Path(__file__).resolve().parents[1]
GRACE_SECONDS = 30  # to end in order


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        peak_gb: Peak resident memory, at least that of this process when it started the other.
        seconds: How long it ran.
        code: Exit code; minus the signal that ended it.
        stopped: Whether it ran longer than it was given.
    """

    peak_gb: float
    seconds: float
    code: int
    stopped: bool


def run_measured(
    *command: str,
    minutes: float | None = None,
    output: IO[str] | None = None,
    python: str = sys.executable,
) -> Ended:
    """Run one of the programs to its end, or to that of its time; it ends with this process.

    Args:
        command: File of the program in the repository, and its arguments.
        minutes: Longest time; null is no limit.
        output: Receives all that it prints; null leaves that on the terminal.
        python: Interpreter that runs it.
    """
    began = time.perf_counter()
    arguments = [python, str(REPOSITORY / command[0]), *command[1:]]
    process = subprocess.Popen(arguments, stdout=output, stderr=output)
    limits = []
    if minutes is not None:
        for seconds, number in ((0, signal.SIGTERM), (GRACE_SECONDS, signal.SIGKILL)):
            limits.append(Timer(60 * minutes + seconds, _send, (process.pid, number)))
    try:
        for limit in limits:
            limit.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        for limit in limits:
            limit.cancel()
        if process.returncode is None:
            process.terminate()
            process.wait()
    seconds = time.perf_counter() - began
    stopped = minutes is not None and process.returncode != 0 and seconds > 60 * minutes
    return Ended(usage.ru_maxrss * 1024 / 1e9, seconds, process.returncode, stopped)


def _send(process: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)

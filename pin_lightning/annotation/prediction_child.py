"""PredictionChild: the server's end of the process that predicts."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pin_lightning.inference.inputs import Input

PROCESS = ("-m", "pin_lightning.annotation.prediction_process")
FULL = "full"
SECONDS_TO_END = 5.0


class PredictionChild:
    """A process that predicts one volume after the other."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, *PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def begin(self, settings: Mapping[str, Any], inputs: Mapping[str, Input]) -> None:
        """Tell it what predicts which volumes; it answers ``ready`` or ``refused``.

        Args:
            settings: Settings of ``infer``.
            inputs: Volumes by the names of their outputs.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it says why, or has ended
            self._process.stdin.write(pickle.dumps((dict(settings), dict(inputs))))
            self._process.stdin.flush()

    def ask(self, name: str) -> None:
        """Ask for the prediction of a volume."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # `answer` says that it has ended
            self._process.stdin.write(f"{name}\n".encode("utf-8", "surrogatepass"))
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next line that it says.

        Raises:
            DiskFull: It cannot write, and ends.
            ChildEnded: It has ended.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):  # what a library prints
                said = json.loads(line)
                if isinstance(said, dict) and "state" in said:
                    break
        else:
            raise ChildEnded(_ended(self._process.wait()))
        if said["state"] == FULL:
            raise DiskFull(said["reason"])
        return dict(said)

    def end(self) -> None:
        """End it, and wait until it has ended."""
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for one in (self._process.stdin, self._process.stdout):
            assert one is not None
            with suppress(OSError):
                one.close()


class DiskFull(Exception):
    """The process could not write, for want of space; the message says why."""


class ChildEnded(Exception):
    """The process has ended; the message says how."""


def _ended(code: int) -> str:
    if code >= 0:
        return f"the process that predicts ended with exit code {code}"
    return (
        f"the process that predicts was killed ({signal.Signals(-code).name}), as the system does "
        f"where memory runs out"
    )

"""Programs in processes of their own, begun by a server that has imported everything.

They start at once, where what a test looks at comes after the start. What libraries read from the
environment while they are imported is that of the server.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from conftest import REPOSITORY

LARGE = ["pin_lightning.training.run", "pin_lightning.inference.run", "conftest"]


def server() -> ForkServerContext:
    """A context whose processes begin with PyTorch and the program in memory."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LARGE)
    return context


def start(
    context: ForkServerContext, said: Path, function: Callable[..., object], *arguments: object
) -> BaseProcess:
    """Call a function in a process; what it says goes to the end of a file."""
    process = context.Process(target=_call, args=(said, dict(os.environ), function, arguments))
    process.start()
    return process


def _call(
    said: Path,
    environment: dict[str, str],
    function: Callable[..., object],
    arguments: Sequence[object],
) -> None:
    import torch

    os.environ.clear()  # that of the server
    os.environ.update(environment)
    torch.set_num_threads(1)
    with said.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    sys.stdout.reconfigure(line_buffering=True)
    function(*arguments)


def predict(settings: Sequence[str]) -> None:
    """Predict as `infer.py` does."""
    from conftest import composed
    from pin_lightning.inference.run import infer

    raise SystemExit(2 if infer(composed(*settings, config_name="infer")) else 0)


class Begun:
    """A process of such a server, as `subprocess.Popen` has it, and the head of a group."""

    def __init__(self, process: BaseProcess) -> None:
        self.process = process

    @property
    def pid(self) -> int | None:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.process), timeout or 0.0)
        return self.process.exitcode


def begin(command: Sequence[str], said: Path) -> Begun:
    """Start a script of the repository, or ``-m`` and a module, with its arguments."""
    process = start(server(), said, _program, list(command))
    while process.is_alive() and os.getpgid(process.pid) != process.pid:
        time.sleep(0.001)  # until it is the head of its group
    return Begun(process)


def run(*command: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run one to its end, as `programs.run` does."""
    arguments = list(map(str, command))
    with TemporaryDirectory() as folder:
        said, errors = Path(folder, "stdout"), Path(folder, "stderr")
        process = start(server(), said, _program, arguments, errors)
        process.join(timeout)
        process.kill()  # if it has not come to its end
        process.join()
        texts = [one.read_text("utf-8") for one in (said, errors)]
    return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


def _program(command: Sequence[str], errors: Path | None = None) -> None:
    os.setsid()
    os.chdir(REPOSITORY)
    os.environ["COLUMNS"] = "1000"  # each row of a table in one line
    multiprocessing.set_start_method(None, force=True)  # of its own processes
    if errors is not None:
        with errors.open("wb") as file:
            os.dup2(file.fileno(), 2)
    try:
        if command[0] == "-m":
            sys.argv = list(command[1:])
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(command)
            runpy.run_path(command[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # which processes of a server leave out

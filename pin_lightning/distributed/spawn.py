"""Processes that Lightning spawns inside a training: what goes to them, and what they say."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher
from pytorch_lightning.trainer.call import _interrupt

from pin_lightning.distributed.group import hush_lightning
from pin_lightning.distributed.process import EXIT_CODE, end_on_sigterm, keep_freed_memory


def _pack_generator(generator: torch.Generator) -> tuple[Any, tuple[str, bytes]]:
    """A generator as bytes, to go to a spawned process.

    PyTorch sends a tensor that is gone, and its shared memory with it, before the process reads it.
    """
    return _unpack_generator, (str(generator.device), generator.get_state().numpy().tobytes())


def _unpack_generator(device: str, state: bytes) -> torch.Generator:
    generator = torch.Generator(device)
    generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    return generator


hush_lightning()  # in a spawned process nothing else is imported before Lightning speaks
ForkingPickler.register(torch.Generator, _pack_generator)


class SpawningLauncher(_MultiProcessingLauncher):
    """Lightning's, whose processes tell callbacks of an exception, as a process alone does.

    Without it none would save where it is asked to end.
    """

    def launch(
        self,
        function: Callable[..., Any],
        *args: Any,
        trainer: pl.Trainer | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run a method of a trainer in each process."""
        return super().launch(_telling, function, *args, trainer=trainer, **kwargs)


def _telling(function: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        _interrupt(function.__self__, error)
        raise


@contextmanager
def passing_sigterm_on() -> Iterator[None]:
    """A block whose processes are asked to end where this one is, which then waits for them.

    Raises:
        SystemExit: This process was asked to end.
    """
    asked = False

    def pass_on(*_: object) -> None:
        nonlocal asked
        asked = True
        processes = multiprocessing.active_children()
        for process in processes:
            process.terminate()
        if not processes:
            raise SystemExit(EXIT_CODE)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
    if asked:
        raise SystemExit(EXIT_CODE)


class _PipeHandler(QueueHandler):
    """Sends messages through a pipe."""

    queue: Any  # the end of the pipe

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send one."""
        self.queue.send(record)


def _pass_on(messages: Connection, handlers: Sequence[logging.Handler]) -> None:
    """Give what comes through a pipe to handlers, until its other end is closed."""
    with suppress(EOFError, OSError):  # the latter in the middle of a message
        while True:
            record = messages.recv()
            for handler in handlers:
                if record.levelno >= handler.level:
                    handler.handle(record)


class SpawnedProcess(pl.Callback):
    """What a process that Lightning spawns takes over from the one that spawned it.

    Messages go where those of that process go. Lightning itself sees to random numbers and to which
    algorithms are used.

    Args:
        count: Processes that are spawned. Each has a pipe for its messages: a queue for all has a
            lock, which a process that is killed may hold.
    """

    def __init__(self, count: int) -> None:
        self.parent = os.getpid()
        self.pipes = [multiprocessing.Pipe(duplex=False) for _ in range(count)]
        self.level = logging.getLogger().level

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take over, in a process of its own."""
        if os.getpid() == self.parent:
            return
        end_on_sigterm()
        keep_freed_memory()
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        root = logging.getLogger()
        root.handlers = [_PipeHandler(cast(Any, self.pipes[trainer.local_rank][1]))]
        root.setLevel(self.level if trainer.is_global_zero else logging.ERROR)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A block during which messages of spawned processes come out here."""
        handlers = logging.getLogger().handlers
        listeners = [
            threading.Thread(target=_pass_on, args=(reader, handlers), daemon=True)
            for reader, _ in self.pipes
        ]
        port = os.environ.get("MASTER_PORT")
        for one in listeners:
            one.start()
        try:
            yield
        finally:
            for _, writer in self.pipes:
                writer.close()  # the last one, so that reading ends, in a message cut off as well
            for one in listeners:
                one.join()
            if port is None:  # of these processes; the next ones choose their own
                os.environ.pop("MASTER_PORT", None)

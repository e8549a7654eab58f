"""Processes that Lightning spawns inside a training: their set-up, logging and end."""

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
from pin_lightning.distributed.process import (
    EXIT_CODE,
    end_on_signals,
    keep_freed_memory,
    postpone_end,
)


def _pack_generator(generator: torch.Generator) -> tuple[Any, tuple[str, bytes]]:
    """Pickle a generator's state as bytes for a spawned process.

    PyTorch would send a tensor whose shared memory is gone before the process reads it.
    """
    return _unpack_generator, (str(generator.device), generator.get_state().numpy().tobytes())


def _unpack_generator(device: str, state: bytes) -> torch.Generator:
    generator = torch.Generator(device)
    generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    return generator


hush_lightning()  # a spawned process imports nothing else before Lightning logs
ForkingPickler.register(torch.Generator, _pack_generator)


class SpawningLauncher(_MultiProcessingLauncher):
    """Lightning's launcher; its processes tell callbacks of exceptions, as a single process does.

    Otherwise none would save its state when asked to end.
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
    """Context that passes SIGTERM on to spawned processes and waits for them.

    Raises:
        SystemExit: This process was asked to end.
    """
    asked = False

    def pass_on(*_: object) -> None:
        nonlocal asked
        asked = True
        processes = multiprocessing.active_children()
        postpone_end(until_saved=bool(processes))
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
        postpone_end(until_saved=False)
    if asked:
        raise SystemExit(EXIT_CODE)


class _PipeHandler(QueueHandler):
    """Sends messages through a pipe."""

    queue: Any  # the end of the pipe

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a message."""
        self.queue.send(record)


def _pass_on(messages: Connection, handlers: Sequence[logging.Handler]) -> None:
    """Pass messages from a pipe to handlers, until its other end is closed."""
    with suppress(EOFError, OSError):  # OSError in the middle of a message
        while True:
            record = messages.recv()
            for handler in handlers:
                if record.levelno >= handler.level:
                    handler.handle(record)


class SpawnedProcess(pl.Callback):
    """Gives spawned processes the signal handler, memory settings and logging of their parent.

    Lightning itself sets random seeds and deterministic algorithms.

    Args:
        count: Spawned processes. Each has its own pipe for messages, as a shared queue has a lock,
            which a process may hold when it is killed.
    """

    def __init__(self, count: int) -> None:
        self.parent = os.getpid()
        self.pipes = [multiprocessing.Pipe(duplex=False) for _ in range(count)]
        self.level = logging.getLogger().level

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set up a spawned process."""
        if os.getpid() == self.parent:
            return
        end_on_signals()
        keep_freed_memory()
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        root = logging.getLogger()
        root.handlers = [_PipeHandler(cast(Any, self.pipes[trainer.local_rank][1]))]
        root.setLevel(self.level if trainer.is_global_zero else logging.ERROR)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Context in which messages of spawned processes are logged here."""
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
                writer.close()  # the last writer: ends the reading, even within a message
            for one in listeners:
                one.join()
            if port is None:  # set for these processes; the next ones choose their own
                os.environ.pop("MASTER_PORT", None)

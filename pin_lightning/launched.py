"""Processes that work together: who goes first, what they say, and how they end."""

import builtins
import logging
import multiprocessing
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from logging.handlers import QueueHandler, QueueListener
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytorch_lightning as pl
import torch
from torch import distributed
from torch.multiprocessing import ProcessRaisedException

from pin_lightning.memory import keep_freed_memory
from pin_lightning.ranks import is_first
from pin_lightning.shard import Shard

FOR_EVER = timedelta(days=365)  # processes wait for one another as long as they live
SECONDS_TO_END = 10.0  # of a process whose connection is gone
# Words of what gloo and NCCL raise where another process is gone.
_LOST = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited")
# Lightning's remarks: which backend is used, how many processes there are. Not that one has died.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric.strategies.launchers").setLevel(logging.INFO)


def speak_if_first(level: int) -> None:
    """Leave messages to the first process.

    Args:
        level: From which on the others, too, say what they have to say.
    """
    if not is_first():
        logging.getLogger().setLevel(level)


@contextmanager
def first_before_others(shard: Shard) -> Iterator[None]:
    """A block that the first process runs before all others, which then find what it has made.

    Args:
        shard: The part of this process.
    """
    group = None
    if shard.count > 1 and distributed.is_initialized():
        group = distributed.new_group(backend="gloo", timeout=FOR_EVER)
    if group is not None and shard.rank > 0:
        distributed.barrier(group)
    yield
    if group is not None and shard.rank == 0:
        distributed.barrier(group)


@contextmanager
def ends_together(launcher: Any) -> Iterator[None]:
    """A block that ends in all processes where it fails in one, in one line where that is known.

    Args:
        launcher: Lightning's, which may have started the other processes; none starts none.

    Raises:
        ValueError: Another process has failed.
    """
    try:
        yield
    except BaseException as error:
        started = [
            one for one in getattr(launcher, "procs", ()) if isinstance(one, subprocess.Popen)
        ]
        lost = isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST)
        failed = _failed(started) if lost else ()
        for process in started:
            process.kill()
        if failed:
            raise ValueError(f"{' and '.join(failed)}: all processes are ended") from error
        if lost:
            raise ValueError("another process has ended, and so does this one") from error
        if isinstance(error, ProcessRaisedException):
            raise _as_raised(error) from error
        raise


def _failed(processes: Sequence[subprocess.Popen[bytes]]) -> list[str]:
    """How the processes ended that did so by themselves, and not well."""
    found = []
    for rank, process in enumerate(processes, start=1):
        try:
            code = process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            continue
        if code != 0:
            found.append(f"rank {rank} ended with code {code}")
    return found


def _as_raised(error: ProcessRaisedException) -> Exception:
    """What a spawned process raised, where it is a user's mistake; only its traceback comes."""
    name, _, said = str(error).strip().splitlines()[-1].partition(": ")
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, ValueError | OSError):
        return ValueError(f"rank {error.error_index}: {said}" if error.error_index else said)
    return error


def _pack_generator(generator: torch.Generator) -> tuple[Any, tuple[str, bytes]]:
    """A generator as bytes, to go to a spawned process.

    PyTorch sends a tensor that is gone, and its shared memory with it, before the process reads it.
    """
    return _unpack_generator, (str(generator.device), generator.get_state().numpy().tobytes())


def _unpack_generator(device: str, state: bytes) -> torch.Generator:
    generator = torch.Generator(device)
    generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    return generator


ForkingPickler.register(torch.Generator, _pack_generator)


class SpawnedProcess(pl.Callback):
    """What a process that Lightning spawns takes over from the one that spawned it.

    Messages go where those of that process go. Lightning itself sees to random numbers and to which
    algorithms are used.
    """

    def __init__(self) -> None:
        self.parent = os.getpid()
        self.messages = multiprocessing.get_context("spawn").Queue()
        self.level = logging.getLogger().level

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take over, in a process of its own."""
        if os.getpid() == self.parent:
            return
        keep_freed_memory()
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        root = logging.getLogger()
        root.handlers = [QueueHandler(self.messages)]
        root.setLevel(self.level if trainer.is_global_zero else logging.ERROR)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A block during which messages of spawned processes come out here."""
        handlers = logging.getLogger().handlers
        listener = QueueListener(self.messages, *handlers, respect_handler_level=True)
        port = os.environ.get("MASTER_PORT")
        listener.start()
        try:
            yield
        finally:
            listener.stop()
            if port is None:  # of these processes; the next ones choose their own
                os.environ.pop("MASTER_PORT", None)

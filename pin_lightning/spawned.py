"""Processes that Lightning spawns inside a training: what goes to them, and what they say."""

import logging
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytorch_lightning as pl
import torch

from pin_lightning.launched import hush_lightning
from pin_lightning.memory import keep_freed_memory


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

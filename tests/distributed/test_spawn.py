import logging
import multiprocessing
import os
import signal
import struct
import threading
from multiprocessing.reduction import ForkingPickler
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from pin_lightning.distributed.spawn import SpawnedProcess, passing_sigterm_on


def test_a_generator_goes_to_another_process_as_it_is():
    generator = torch.Generator().manual_seed(5)
    torch.rand(3, generator=generator)
    sent = ForkingPickler.loads(bytes(ForkingPickler.dumps(generator)))
    assert torch.equal(torch.rand(9, generator=sent), torch.rand(9, generator=generator))


@pytest.fixture
def spawned(monkeypatch):
    """A process that was spawned, with a root logger of its own."""
    made = SpawnedProcess(2)
    monkeypatch.setattr("pin_lightning.distributed.spawn.end_on_signals", lambda: None)
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    monkeypatch.setattr(logging.Logger, "root", logging.root)
    monkeypatch.setattr(logging, "getLogger", lambda name=None: logging.root)
    return made


@pytest.fixture
def heard(spawned):
    """Messages that the root logger gets."""
    messages, handler = [], logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.root.addHandler(handler)
    return messages


def test_what_a_spawned_process_says_is_heard_where_it_began(spawned, heard, monkeypatch):
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with spawned.heard():
        os.environ["MASTER_PORT"] = "1"  # as Lightning does
        spawned.level, spawned.parent = logging.INFO, -1
        trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
        spawned.setup(trainer, pl.LightningModule(), "fit")
        logging.root.info("step %d", 3)
    assert heard == ["step 3"]
    assert "MASTER_PORT" not in os.environ


def test_a_process_that_is_killed_while_it_speaks_is_not_waited_for(spawned, heard):
    record = logging.LogRecord("name", logging.WARNING, "path", 1, "step %d", (3,), None)

    def listen():
        with spawned.heard():
            (_, killed), (_, other) = spawned.pipes
            os.write(killed.fileno(), struct.pack("!i", 1000) + b"the first part")
            other.send(record)

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    listening.join(10)
    assert not listening.is_alive()
    assert heard == ["step 3"]


def test_nothing_changes_in_the_process_that_spawns(spawned):
    before = list(logging.root.handlers)
    spawned.setup(pl.Trainer(accelerator="cpu", logger=False), pl.LightningModule(), "fit")
    assert logging.root.handlers == before


@pytest.mark.parametrize("processes", [[Mock(), Mock()], []])
def test_sigterm_is_passed_on_and_waited_for(monkeypatch, processes):
    monkeypatch.setattr(multiprocessing, "active_children", lambda: processes)
    before, waited = signal.getsignal(signal.SIGTERM), False
    with pytest.raises(SystemExit) as end, passing_sigterm_on():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        waited = True
    assert end.value.code == 143
    assert waited == bool(processes)
    assert all(process.terminate.call_count == 1 for process in processes)
    assert signal.getsignal(signal.SIGTERM) is before

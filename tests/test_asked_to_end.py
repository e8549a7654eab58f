import os
import signal
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl

from pin_lightning.asked_to_end import EVERY, AskedToEnd


def together(others, step=EVERY, world_size=2):
    """A trainer of several processes, of which the others say `others`."""
    made = Mock(spec=pl.Trainer, global_step=step, world_size=world_size, asked=[])
    made._signal_connector = SimpleNamespace(received_sigterm=False)

    def decide(decision, all):
        assert all is False
        made.asked.append(decision)
        return decision or others

    made.strategy = SimpleNamespace(reduce_boolean_decision=decide)
    return made


MODULE = Mock(spec=pl.LightningModule)


@pytest.fixture
def restored():
    before = signal.getsignal(signal.SIGTERM)
    yield before
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_all_end_where_one_was_asked_to(restored, own, others):
    trainer, callback = together(others), AskedToEnd()
    callback.on_train_start(trainer, MODULE)
    if own:
        os.kill(os.getpid(), signal.SIGTERM)
    callback.on_train_batch_start(trainer)
    assert trainer.asked == [own]
    assert trainer._signal_connector.received_sigterm == (own or others)


def test_processes_ask_one_another_after_the_same_steps_only():
    trainer, callback = together(others=True, step=EVERY + 1), AskedToEnd()
    callback.on_train_batch_start(trainer)
    assert trainer.asked == []


def test_a_process_alone_is_left_to_lightning(restored):
    trainer, callback = together(others=True, world_size=1), AskedToEnd()
    callback.on_train_start(trainer, MODULE)
    assert signal.getsignal(signal.SIGTERM) is restored
    callback.on_train_batch_start(trainer)
    assert trainer.asked == []

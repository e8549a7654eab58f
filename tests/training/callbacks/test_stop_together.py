import os
import signal
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.exceptions import SIGTERMException

from pin_lightning.training.callbacks.checkpoints import KeepLast
from pin_lightning.training.callbacks.stop_together import EVERY, AskedToEnd


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
    trainer.global_step = EVERY + 1  # all exchange signals after the same steps only
    callback.on_train_batch_start(trainer)
    assert trainer.asked == [own]


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_a_signal_after_the_last_question_ends_all_when_the_end_is_saved(own, others):
    trainer, callback = together(others, step=EVERY + 1), AskedToEnd()
    callback.asked = own
    if not own and not others:
        callback.on_fit_end(trainer, MODULE)
    else:
        with pytest.raises(SIGTERMException):
            callback.on_fit_end(trainer, MODULE)
    assert trainer.asked == [own]


class Signalled(pl.Callback):
    """Is asked to end in the last step."""

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == 3:
            os.kill(os.getpid(), signal.SIGTERM)


class Two(SingleDeviceStrategy):
    """As one of two processes; the other is not asked to end."""

    def reduce_boolean_decision(self, decision, all=True):
        return decision


def test_the_end_is_saved_before_a_late_signal_ends_the_training(restored, tmp_path, monkeypatch):
    monkeypatch.setattr(pl.Trainer, "world_size", 2)
    path = tmp_path / "last.ckpt"
    callbacks = [AskedToEnd(), Signalled(), KeepLast(path, every=100)]
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_steps=3, strategy=Two("cpu"), callbacks=callbacks, **quiet)
    with pytest.raises(SystemExit) as end:
        trainer.fit(BoringModel())
    assert end.value.code == 143
    assert torch.load(path, weights_only=True)["global_step"] == 3


def test_a_process_alone_is_left_to_lightning(restored):
    trainer, callback = together(others=True, world_size=1), AskedToEnd()
    callback.on_train_start(trainer, MODULE)
    assert signal.getsignal(signal.SIGTERM) is restored
    callback.on_train_batch_start(trainer)
    callback.on_fit_end(trainer, MODULE)
    assert trainer.asked == []

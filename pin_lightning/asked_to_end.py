"""What SIGTERM does to processes that train together: they end after the same step."""

import signal
import threading
from typing import Any

import pytorch_lightning as pl

EVERY = 10  # steps from one question to the next: each waits for all processes


class AskedToEnd(pl.Callback):
    """Lets all processes end, Lightning's way, once one of them was asked to.

    Lightning itself sends the message in the moment in which the signal comes. Where other messages
    are on their way then, such as a sum of gradients, processes wait for one another for ever.
    """

    def __init__(self) -> None:
        self.asked = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the place of Lightning's handler, where there is more than one process."""
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, *_: object) -> None:
        self.asked = True

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Tell all processes now and then; they end when this step is done."""
        if trainer.world_size > 1 and trainer.global_step % EVERY == 0:
            asked = trainer.strategy.reduce_boolean_decision(self.asked, all=False)
            if asked:
                trainer._signal_connector.received_sigterm = True

"""What SIGTERM does to processes that train together: they end after the same step."""

import signal
import threading
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException

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
        if trainer.global_step % EVERY == 0 and self._one_was_asked(trainer):
            trainer._signal_connector.received_sigterm = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End now where the last question came before the signal; the last step is saved.

        From here on the signal ends this process at once, as Lightning has taken its place back.
        """
        if self._one_was_asked(trainer):
            raise SIGTERMException

    def _one_was_asked(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size == 1:
            return False
        decision: bool = trainer.strategy.reduce_boolean_decision(self.asked, all=False)
        return decision

"""Joint end of all training processes, after the same step, on SIGTERM."""

import signal
import threading
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException

EVERY = 10  # steps from one exchange to the next: each waits for all processes


class AskedToEnd(pl.Callback):
    """End all processes, in Lightning's way, once one of them received SIGTERM.

    Lightning itself tells the others at the moment of the signal. While another message is on its
    way, such as a sum of gradients, this blocks all processes for ever.
    """

    def __init__(self) -> None:
        self.asked = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's signal handler if there are several processes."""
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, *_: object) -> None:
        self.asked = True

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Exchange signals now and then; all processes end when this step is done."""
        if trainer.global_step % EVERY == 0 and self._one_was_asked(trainer):
            trainer._signal_connector.received_sigterm = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End after a signal since the last exchange; the last step is saved.

        From here on Lightning's handler is back, and the signal ends this process at once.
        """
        if self._one_was_asked(trainer):
            raise SIGTERMException

    def _one_was_asked(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size == 1:
            return False
        decision: bool = trainer.strategy.reduce_boolean_decision(self.asked, all=False)
        return decision

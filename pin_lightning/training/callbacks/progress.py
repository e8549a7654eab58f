"""Progress of a training: one bar over all its steps, one log line per validation."""

import logging
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pin_lightning.training.localizer_module import VALIDATION_ERROR

log = logging.getLogger(__name__)


class TrainingProgress(pl.Callback):
    """Bar over the steps of the whole training, on a terminal only.

    Lightning's bar restarts each epoch, which is arbitrary here.

    Args:
        every: Steps between updates of the numbers; reading them waits for a GPU.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    @cached_property
    def bar(self) -> Progress:
        """The bar, made in the process that shows it, since it cannot be pickled."""
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        console = Console(stderr=True)
        bar = Progress(*columns, console=console, disable=not console.is_terminal)
        bar.add_task("", total=None)
        return bar

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        task = self.bar.task_ids[0]
        self.bar.update(task, total=trainer.max_steps, completed=trainer.global_step)
        if trainer.is_global_zero:
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """Update the bar."""
        if trainer.global_step % self.every == 0 or trainer.global_step == trainer.max_steps:
            numbers = {"loss": trainer.callback_metrics.get("train/loss")}
            numbers["validation mm"] = trainer.callback_metrics.get(VALIDATION_ERROR)
            shown = [f"{name} {value:.3f}" for name, value in numbers.items() if value is not None]
            description, task = "  ".join(shown), self.bar.task_ids[0]
            self.bar.update(task, completed=trainer.global_step, description=description)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the validation error."""
        error = trainer.callback_metrics.get(VALIDATION_ERROR)
        if error is not None:
            log.info("step %d: validation error %.3f mm", trainer.global_step, error)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        self.bar.stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Release the terminal."""
        self.bar.stop()

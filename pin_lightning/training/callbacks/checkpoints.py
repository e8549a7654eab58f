"""Atomic checkpoints between two steps, from which training resumes exactly."""

import io
import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException

from pin_lightning.common.files import whole_file
from pin_lightning.distributed.process import EXIT_CODE, postpone_end
from pin_lightning.distributed.random_states import global_states, set_global_states

log = logging.getLogger(__name__)


class WholeCheckpoints(TorchCheckpointIO):
    """Atomic checkpoint files, which appear whole or not at all.

    Lightning writes its own to the system's folder for temporary files and moves them from there,
    which takes a while from another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; if that fails, the previous one stays."""
        content = io.BytesIO()  # torch has no clear error for a full disk
        torch.save(checkpoint, content)
        with whole_file(Path(path), durable=True) as temporary:
            temporary.write_bytes(content.getbuffer())


class KeepBest(ModelCheckpoint):
    """Save ``best.ckpt`` after each validation with the smallest `monitor` so far."""

    def __init__(self, folder: Path, monitor: str) -> None:
        super().__init__(folder, "best", monitor=monitor, enable_version_counter=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best checkpoint, also of a run folder that was moved."""
        path = Path(str(self.dirpath)) / "best.ckpt"
        if state_dict["best_k_models"] and path.is_file():
            here = dict.fromkeys(("best_model_path", "kth_best_model_path"), str(path))
            scores = {str(path): state_dict["best_model_score"]}
            state_dict = {**state_dict, **here, "dirpath": self.dirpath, "best_k_models": scores}
        super().load_state_dict(state_dict)


class KeepLast(Checkpoint):
    """Save ``last.ckpt`` once a step is complete: validated, best checkpoint saved, logged.

    A training that resumes from there ends with the same weights as an uninterrupted one, on the
    same number of processes. It is saved every `every` steps, at the end, and on SIGTERM, which
    ends the training with the exit code 143.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every
        self.saved_step = 0
        self.loader: dict[str, Any] | None = None  # set while a save waits for validation
        self.restored: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore what Lightning does not keep: random states, and that training was to end."""
        self.saved_step = trainer.global_step
        if trainer.global_rank > 0:  # own dropout seed; rank 0 keeps the single-process one
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)
        if self.restored:
            set_global_states(self.restored["random"])
            trainer.should_stop = self.restored["should_stop"]

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Mark a save as due; the step is not logged yet, and validation may follow."""
        step = trainer.global_step
        if step % self.every == 0 and step != self.saved_step:
            loader: Any = trainer.train_dataloader
            self.loader = loader.state_dict()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save a due checkpoint after validation, and after the best one."""
        self._save_due(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Save a due checkpoint if no validation came."""
        self._save_due(trainer)
        postpone_end(until_saved=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save a due checkpoint before the loader starts again."""
        self._save_due(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the last step."""
        postpone_end(until_saved=False)
        self._save_end(trainer)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save the last step on SIGTERM."""
        postpone_end(until_saved=False)
        if isinstance(exception, SIGTERMException):
            exception.code = EXIT_CODE
            self._save_end(trainer)
            log.info(
                "asked to end: step %d is saved, the same command with ckpt_path=last goes on",
                trainer.global_step,
            )

    def _save_end(self, trainer: pl.Trainer) -> None:
        self.loader = None
        if trainer.global_step != self.saved_step:
            self._save(trainer)

    def _save_due(self, trainer: pl.Trainer) -> None:
        if self.loader is not None:
            self._save(trainer)
            self.loader = None

    def _save(self, trainer: pl.Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()  # no checkpoint without what was logged before it
        trainer.save_checkpoint(self.path, weights_only=False)
        self.saved_step = trainer.global_step

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Make any checkpoint of this training one of a completed step."""
        step, interval = trainer.global_step, trainer.val_check_batch
        checkpoint[type(self).__name__] = {
            "random": global_states(),
            "should_stop": trainer.should_stop,
        }
        fit_loop = checkpoint["loops"]["fit_loop"]
        if self.loader is not None:
            fit_loop["state_dict"]["combined_loader"] = [self.loader]
        after_a_step(fit_loop, step, interval is not None and step % interval == 0)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep for the start the additions of `on_save_checkpoint`; earlier versions lack them."""
        self.restored = checkpoint.get(type(self).__name__, {})


def after_a_step(fit_loop: dict[str, Any], step: int, validates: bool) -> None:
    """Set the progress of a checkpoint, in place, to a completed step of an unfinished epoch.

    Lightning then resumes in the same way wherever the checkpoint was taken: during validation, at
    the start of the next step or after the end of an epoch.

    Args:
        fit_loop: State of the fit loop.
        step: Completed steps.
        validates: Whether validation follows this step; Lightning skips it, and counts the step
            once more.
    """
    for epoch in fit_loop["epoch_progress"].values():
        done = epoch["ready"] - 1
        epoch.update(started=epoch["ready"], processed=done, completed=done)
    for batches in (fit_loop["epoch_loop.batch_progress"][key] for key in ("total", "current")):
        batches.update(dict.fromkeys(("ready", "started", "processed"), batches["completed"]))
    fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = step - validates

import logging
from unittest.mock import Mock

import pytorch_lightning as pl
import torch
from rich.progress import Progress

from pin_lightning.training.callbacks.progress import TrainingProgress
from pin_lightning.training.localizer_module import VALIDATION_ERROR


def trainer(step, **metrics):
    values = {name: torch.tensor(value) for name, value in metrics.items()}
    settings = {"global_step": step, "max_steps": 30, "callback_metrics": values}
    return Mock(spec=pl.Trainer, **settings)


MODULE = Mock(spec=pl.LightningModule)


def test_bar_counts_the_steps_of_the_whole_training_and_shows_the_numbers():
    progress = TrainingProgress(every=10)
    progress.on_train_start(trainer(5), MODULE)  # continued from step 5
    assert (progress.bar.tasks[0].completed, progress.bar.tasks[0].total) == (5, 30)
    numbers = {"train/loss": 0.5, VALIDATION_ERROR: 1.25}
    progress.on_train_batch_end(trainer(7, **numbers), MODULE)
    assert progress.bar.tasks[0].completed == 5  # only every tenth step
    progress.on_train_batch_end(trainer(10, **numbers), MODULE)
    assert progress.bar.tasks[0].completed == 10
    assert progress.bar.tasks[0].description == "loss 0.500  validation mm 1.250"
    progress.on_train_batch_end(trainer(30), MODULE)
    assert progress.bar.tasks[0].completed == 30
    progress.on_train_end(trainer(30), MODULE)


def test_each_validation_is_a_log_line(caplog):
    with caplog.at_level(logging.INFO):
        TrainingProgress(20).on_validation_end(trainer(20, **{VALIDATION_ERROR: 1.25}), MODULE)
        TrainingProgress(20).on_validation_end(trainer(20), MODULE)
    assert caplog.messages == ["step 20: validation error 1.250 mm"]


def test_an_exception_gives_the_terminal_back(monkeypatch):
    stopped = []
    monkeypatch.setattr(Progress, "stop", lambda bar: stopped.append(bar))
    progress = TrainingProgress(20)
    progress.on_exception(trainer(3), MODULE, KeyboardInterrupt())
    assert progress.bar in stopped

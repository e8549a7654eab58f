"""LightningModule of what localises landmarks: the whole procedure validates on whole volumes."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pin_lightning.evaluation.torchmetrics import MeanRadialError
from pin_lightning.method.trajectory import LandmarkLocalizer
from pin_lightning.training.network_module import NetworkModule

VALIDATION_ERROR = "val/radial_error_mm"  # decides on the best checkpoint and on early stopping
LANDMARK_ERROR = "val_landmark/{}_mm"


class LocalizerModule(NetworkModule):
    """The validation steps of a localizer; subclasses train it.

    Args:
        optimizer: As of `NetworkModule`.
        scheduler: Likewise.
        names: Landmark names under which validation logs the error of each; by default only the
            error of all is logged.

    Attributes:
        localizer: What is trained, under the name that checkpoints have; set by a subclass.
    """

    localizer: LandmarkLocalizer

    def __init__(
        self,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__(optimizer, scheduler)
        self.names = tuple(names)
        self.validation_error = MeanRadialError()
        self.landmark_errors = MeanRadialError(per="landmark")

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        """Update the radial error of the localizer, as it predicts, on whole volumes.

        Args:
            batch: ``volume`` [V, X, Y, Z] and ``landmarks_mm`` [V, L, 3].
            batch_index: Unused.
        """
        truth_mm = batch["landmarks_mm"]
        trajectory = self.localizer(batch["volume"])
        defined = torch.isfinite(truth_mm).all(dim=-1)
        self.validation_error.update(trajectory.prediction_mm, truth_mm, defined)
        self.landmark_errors.update(trajectory.prediction_mm, truth_mm, defined)
        self.log(VALIDATION_ERROR, self.validation_error, prog_bar=True, batch_size=len(truth_mm))

    def on_validation_epoch_end(self) -> None:
        """Log the error of each landmark that any validation case has."""
        errors_mm = self.landmark_errors.compute().reshape(-1).tolist() if self.names else []
        self.landmark_errors.reset()
        named = zip(self.names, errors_mm, strict=True)
        known = {LANDMARK_ERROR.format(name): one for name, one in named if not math.isnan(one)}
        self.log_dict(known)

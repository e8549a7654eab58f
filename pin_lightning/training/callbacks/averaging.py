"""Averaged weights over the last training steps, for validation and prediction."""

from typing import Any

import torch
from pytorch_lightning.callbacks import WeightAveraging

from pin_lightning.common.types import Tensor


class AveragedWeights(WeightAveraging):
    """Exponential moving average of the weights; checkpoints hold it beside the weights themselves.

    Args:
        decay: Share of the average that each step keeps, in (0, 1); less in the first steps, which
            would otherwise stay in it for long.
    """

    def __init__(self, decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"model.ema_decay={decay}: give a share between 0 and 1, or null")
        super().__init__(multi_avg_fn=self._average)
        self.decay = decay

    def _average(self, averaged: Any, current: Any, num_averaged: Tensor | int) -> None:
        """Move averages towards the current values, in place."""
        early = (1 + num_averaged) / (10 + num_averaged)  # a tensor: no wait for a GPU
        weight = 1 - torch.as_tensor(early).clamp(max=self.decay)
        for average, value in zip(averaged, current, strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight.to(average))
            else:
                average.copy_(value)

    def on_train_end(self, *args: Any) -> None:
        """Leave the weights as they are, so that the last checkpoint can be continued from."""

"""What the LightningModules of both stages share: optimiser, schedule, clipping."""

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.strategies import FSDPStrategy
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class NetworkModule(pl.LightningModule):
    """Trains one network.

    Args:
        optimizer: Makes the optimiser from the parameters.
        scheduler: Makes the learning-rate schedule from the optimiser and ``total_steps``, stepped
            once a batch; None keeps the rate constant, as in the paper.
    """

    def __init__(
        self,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler

    @property
    def trained(self) -> nn.Module:
        """The network that is trained."""
        raise NotImplementedError

    def logs_this_step(self) -> bool:
        """Tell whether Lightning writes this step's log; other steps save the bookkeeping."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return (self.trainer.global_step + 1) % every == 0

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | int | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients; Lightning itself refuses that for a fused optimiser."""
        if not gradient_clip_val:
            return
        if isinstance(self.trainer.strategy, FSDPStrategy):
            sharded: Any = self.trainer.strategy.model
            sharded.clip_grad_norm_(gradient_clip_val)  # norm over the parts of all processes
        else:
            nn.utils.clip_grad_norm_(self.trained.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        """Return the optimiser of the network, with the schedule stepped after every batch."""
        optimizer = self.make_optimizer(self.trained.parameters())
        if self.make_scheduler is None:
            return optimizer
        total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = self.make_scheduler(optimizer, total_steps=total_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

"""LightningModule that trains any system that learns by gradient steps."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pin_lightning.baselines.base import LearningSystem
from pin_lightning.common.types import Tensor
from pin_lightning.distributed.random_states import seed_of
from pin_lightning.training.localizer_module import LocalizerModule


class SystemModule(LocalizerModule):
    """The training steps of a `LearningSystem`.

    Args:
        system: The system.
        optimizer: As of `NetworkModule`.
        scheduler: Likewise.
        seed: Seed of what the losses draw.
        names: As of `LocalizerModule`.
    """

    def __init__(
        self,
        system: LearningSystem,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        seed: int = 0,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__(optimizer, scheduler, names)
        self.localizer: LearningSystem = system
        self.seed = seed
        self.generator = torch.Generator()

    @property
    def trained(self) -> nn.Module:
        """The whole system."""
        return self.localizer

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Compute the sum of the system's losses.

        What they draw follows from seed, process and step, so that a training can resume anywhere.

        Args:
            batch: ``volumes`` [B, X, Y, Z] and ``landmarks_mm`` [B, L, 3].
            batch_index: Unused.
        """
        own = (self.seed, self.trainer.global_step, self.trainer.global_rank)
        self.generator.manual_seed(seed_of(*own))
        volumes, landmarks_mm = batch["volumes"], batch["landmarks_mm"]
        losses = self.localizer.training_loss(volumes, landmarks_mm, self.generator)
        total = torch.stack(list(losses.values())).sum()
        if self.logs_this_step():
            values = {f"train/{name}": value.detach() for name, value in losses.items()}
            values["train/loss"] = total.detach()
            self.log_dict(values, batch_size=len(volumes), sync_dist=True)
        return total

"""LightningModule that trains the pose stage."""

from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pin_lightning.common.types import Tensor
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.network import evidence_loss, pose_loss
from pin_lightning.training.network_module import NetworkModule


class PoseModule(NetworkModule):
    """The training steps of the pose stage.

    Args:
        finder: Holds the network.
        optimizer: As of `NetworkModule`.
        scheduler: Likewise.
    """

    def __init__(
        self,
        finder: PoseFinder,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
    ) -> None:
        super().__init__(optimizer, scheduler)
        self.finder = finder

    @property
    def trained(self) -> nn.Module:
        """The network that is trained."""
        return self.finder.network

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Compute the loss of a batch of `PoseLoader`."""
        finder, said = self.finder, self.finder.network(batch["patches"])
        loss = pose_loss(said.displacement, said.log_error, batch["target"], batch["known"])
        if finder.network.has_evidence:
            loss = loss + evidence_loss(said.evidence, batch["is_right"])
        if self.logs_this_step():
            error = (said.displacement.detach() - batch["target"]).norm(dim=-1) * batch["known"]
            error_mm = error.sum() / batch["known"].sum().clamp(min=1) * finder.unit_mm
            values = {"train/loss": loss, "train/displacement_error_mm": error_mm}
            self.log_dict(values, batch_size=len(batch["target"]), sync_dist=True)
        return loss

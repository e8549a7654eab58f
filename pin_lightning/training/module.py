"""LightningModule that trains the two-head CNN of PIN."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pin_lightning.common.types import Tensor
from pin_lightning.method import losses
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.networks import patches_to_input
from pin_lightning.method.targets import direction_target, displacement_target
from pin_lightning.training.localizer_module import LocalizerModule


class PINModule(LocalizerModule):
    """The training steps of PIN.

    Args:
        localizer: Holds the network and the fitted shape model.
        alpha: Weight of the direction loss in Eq. 2, in [0, 1].
        optimizer: Makes the optimiser from the parameters.
        scheduler: Makes the learning-rate schedule from the optimiser and ``total_steps``, stepped
            once a batch; None keeps the rate constant, as in the paper.
        displacement_loss: The displacement term of Eq. 2.
        all_known: Whether every sample has all its landmarks; else those that are NaN are left out.
        names: As of `LocalizerModule`.
    """

    def __init__(
        self,
        localizer: Localizer,
        alpha: float,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        displacement_loss: losses.DisplacementLoss = losses.SQUARED_ERROR,
        all_known: bool = True,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__(optimizer, scheduler, names)
        self.localizer: Localizer = localizer
        self.alpha = losses.check_alpha(alpha)
        self.displacement_loss = displacement_loss
        self.all_known = all_known

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Compute the loss of Eq. 2 on random-point patches, averaged over groups of parameters.

        Groups without a truth do not count; all known groups count alike, in whichever process
        they are.

        Args:
            batch: ``patches`` [B, C, P, P], ``parameters`` and ``true_parameters`` [B, K] in mm;
                ``scale_mm`` [B, G] where the sampling knows it.
            batch_index: Unused.
        """
        displacement, logits = self.localizer.network(patches_to_input(batch["patches"]))
        target_mm = displacement_target(batch["true_parameters"], batch["parameters"])
        shape_model = self.localizer.shape_model
        unit_mm = shape_model.by_group(self.localizer.unit_mm().expand_as(target_mm))
        displacement, logits, target_mm = (
            shape_model.by_group(one) for one in (displacement, logits, target_mm)
        )
        scale_mm = batch.get("scale_mm")
        scale = None if scale_mm is None else scale_mm.reshape(-1, 1) / unit_mm
        weight = None
        if not self.all_known:
            known = torch.isfinite(target_mm).all(dim=1)
            weight = losses.weight_of_known(known)
            target_mm = torch.where(known[:, None], target_mm, 0.0)  # 0 * NaN is NaN
        direction = direction_target(target_mm)
        target, settings = target_mm / unit_mm, (self.alpha, self.displacement_loss, scale)
        loss = losses.pin_loss(displacement, logits, target, direction, *settings, weight)
        if self.logs_this_step():
            # Orthonormal modes: the norm over K is the total landmark motion, hence the root of L.
            error_mm = losses.mean_over(
                (displacement.detach() * unit_mm - target_mm).norm(dim=1), weight
            )
            error_mm = error_mm / (shape_model.num_landmarks / shape_model.num_groups) ** 0.5
            accuracy = losses.mean_over((logits.argmax(dim=1) == direction).float(), weight)
            values = {
                "train/loss": loss.total,
                "train/displacement_loss": loss.displacement,
                "train/direction_loss": loss.direction,
                "train/direction_accuracy": accuracy,
                "train/displacement_error_mm": error_mm,
            }
            # The mean over processes.
            self.log_dict(values, batch_size=len(batch["patches"]), sync_dist=True)
        return loss.total

    @property
    def trained(self) -> nn.Module:
        """The network that is trained."""
        return self.localizer.network

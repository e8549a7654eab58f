"""Mean radial error as a torchmetrics object, fed in batches and by several processes."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from pin_lightning.evaluation.metrics import Per, mean_error, radial_errors


class MeanRadialError(Metric):
    """Mean radial error in mm; see `mean_error`.

    The number depends neither on the batches nor on the processes that saw the cases; a process may
    have no case. Cases are in the order of the processes.

    >>> metric = MeanRadialError(per="landmark")
    >>> truth = torch.zeros(1, 2, 3)
    >>> metric.update(truth + torch.tensor([1.0, 0, 0]), truth, torch.ones(1, 2, dtype=torch.bool))
    >>> metric.compute()
    tensor([1., 1.])

    Args:
        per: Groups to average over: ``all`` errors, those of each ``landmark`` or each ``case``.
        settings: Settings of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    errors_mm: list[torch.Tensor] | torch.Tensor
    num_landmarks: torch.Tensor

    def __init__(self, per: Per = "all", **settings: Any) -> None:
        super().__init__(**settings)
        self.per = per
        # Flat, since a process without a case does not know the number of landmarks.
        self.add_state("errors_mm", default=[], dist_reduce_fx="cat")
        self.add_state("num_landmarks", default=torch.tensor(0), dist_reduce_fx="max")

    def update(
        self,
        predicted: Float[torch.Tensor, "B L 3"],
        truth: Float[torch.Tensor, "B L 3"],
        defined: Bool[torch.Tensor, "B L"],
    ) -> None:
        """Add a batch; arguments as in `radial_errors`."""
        errors_mm = radial_errors(predicted.float(), truth.float(), defined)
        assert isinstance(self.errors_mm, list)  # a tensor while the processes are in sync
        self.errors_mm.append(errors_mm.flatten())
        self.num_landmarks = torch.tensor(errors_mm.shape[1], device=errors_mm.device)

    def compute(self) -> Float[torch.Tensor, "*G"]:
        """Mean error, or one for each landmark [L] or case [N]; NaN where nothing is defined.

        torchmetrics makes a scalar of the number of a single landmark or case.
        """
        flat = dim_zero_cat(self.errors_mm) if len(self.errors_mm) else torch.zeros(0)
        errors_mm = flat.reshape(-1, max(1, int(self.num_landmarks))).cpu().double().numpy()
        mean = mean_error(errors_mm, self.per)
        return torch.as_tensor(mean, dtype=torch.float32, device=self.device)

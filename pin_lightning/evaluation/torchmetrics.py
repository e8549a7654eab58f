"""The functions of `metrics` as torchmetrics objects, fed in batches and by several processes.

>>> metric = SuccessRate(radius_mm=2.0, per="landmark")
>>> truth = torch.zeros(1, 2, 3)
>>> metric.update(truth + torch.tensor([1.0, 0, 0]), truth, torch.ones(1, 2, dtype=torch.bool))
>>> metric.compute()
tensor([1., 1.])
"""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from pin_lightning.evaluation.metrics import (
    Per,
    check_radius,
    check_share,
    error_quantile,
    error_sd,
    mean_error,
    radial_errors,
    success_rate,
)


class RadialErrorMetric(Metric):
    """Keeps the radial error of each landmark of each case; a subclass sums them up.

    However the cases are batched, and whichever process saw them, the number is the same. A
    process may have no case at all. Cases are in the order of the processes.

    Args:
        per: What has a number of its own: ``all`` together, each ``landmark`` or each ``case``.
        settings: Of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    errors_mm: list[torch.Tensor] | torch.Tensor
    num_landmarks: torch.Tensor

    def __init__(self, per: Per = "all", **settings: Any) -> None:
        super().__init__(**settings)
        self.per = per
        # Flat, so that a process without a case, which knows no number of landmarks, fits in.
        self.add_state("errors_mm", default=[], dist_reduce_fx="cat")
        self.add_state("num_landmarks", default=torch.tensor(0), dist_reduce_fx="max")

    def update(
        self,
        predicted: Float[torch.Tensor, "B L 3"],
        truth: Float[torch.Tensor, "B L 3"],
        defined: Bool[torch.Tensor, "B L"],
    ) -> None:
        """Add a batch.

        Args:
            predicted: Positions in mm, in any one frame.
            truth: Positions in mm, in the same frame; any value, NaN too, where undefined.
            defined: Which landmarks have a true position.
        """
        errors_mm = radial_errors(predicted.float(), truth.float(), defined)
        assert isinstance(self.errors_mm, list)  # a tensor while the processes are in sync
        self.errors_mm.append(errors_mm.flatten())
        self.num_landmarks = torch.tensor(errors_mm.shape[1], device=errors_mm.device)

    def compute(self) -> Float[torch.Tensor, "*G"]:
        """The number, or one for each landmark [L] or case [N]; NaN where nothing is defined.

        torchmetrics makes a scalar of the number of a single landmark or case.
        """
        flat = dim_zero_cat(self.errors_mm) if len(self.errors_mm) else torch.zeros(0)
        errors_mm = flat.reshape(-1, max(1, int(self.num_landmarks))).cpu().double().numpy()
        return torch.as_tensor(self.reduce(errors_mm), dtype=torch.float32, device=self.device)

    @abstractmethod
    def reduce(self, errors_mm: Float64[np.ndarray, "N L"]) -> Float64[np.ndarray, "*G"]:
        """The pure function behind the metric."""


class MeanRadialError(RadialErrorMetric):
    """Mean radial error in mm; see `mean_error`."""

    def reduce(self, errors_mm: Float64[np.ndarray, "N L"]) -> Float64[np.ndarray, "*G"]:
        """Mean of the defined errors."""
        return mean_error(errors_mm, self.per)


class RadialErrorSD(RadialErrorMetric):
    """Standard deviation of the radial error in mm; see `error_sd`."""

    def reduce(self, errors_mm: Float64[np.ndarray, "N L"]) -> Float64[np.ndarray, "*G"]:
        """Standard deviation of the defined errors."""
        return error_sd(errors_mm, self.per)


class RadialErrorQuantile(RadialErrorMetric):
    """Quantile of the radial error in mm; see `error_quantile`.

    Args:
        share: 0.5, the default, gives the median, 0.95 the 95th percentile.
        per: What has a number of its own.
        settings: Of `torchmetrics.Metric`.

    Raises:
        ValueError: The share is outside [0, 1].
    """

    def __init__(self, share: float = 0.5, per: Per = "all", **settings: Any) -> None:
        super().__init__(per, **settings)
        check_share(share)
        self.share = share

    def reduce(self, errors_mm: Float64[np.ndarray, "N L"]) -> Float64[np.ndarray, "*G"]:
        """Quantile of the defined errors."""
        return error_quantile(errors_mm, self.share, self.per)


class SuccessRate(RadialErrorMetric):
    """Success detection rate in [0, 1]; see `success_rate`.

    Args:
        radius_mm: Radius in mm, not negative.
        per: What has a number of its own.
        settings: Of `torchmetrics.Metric`.

    Raises:
        ValueError: The radius is negative or NaN.
    """

    higher_is_better = True

    def __init__(self, radius_mm: float, per: Per = "all", **settings: Any) -> None:
        super().__init__(per, **settings)
        check_radius(radius_mm)
        self.radius_mm = radius_mm

    def reduce(self, errors_mm: Float64[np.ndarray, "N L"]) -> Float64[np.ndarray, "*G"]:
        """Share of the defined errors within the radius."""
        return success_rate(errors_mm, self.radius_mm, self.per)

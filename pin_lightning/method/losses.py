"""The loss of the paper: displacement and direction, weighted by alpha (Eq. 2)."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch.distributed as dist
from torch.nn import functional

from pin_lightning.common.types import Bool, Float, Int, Tensor


class PINLoss(NamedTuple):
    """The weighted sum of Eq. 2 and its two terms, each averaged over the batch."""

    total: Float[Tensor, ""]
    displacement: Float[Tensor, ""]
    direction: Float[Tensor, ""]


@runtime_checkable
class DisplacementLoss(Protocol):
    """The displacement term of Eq. 2."""

    @property
    def needs_scale(self) -> bool:
        """Whether samples must say how far from the truth they were drawn."""
        ...

    def __call__(
        self,
        displacement: Float[Tensor, "B K"],
        true_displacement: Float[Tensor, "B K"],
        scale: Float[Tensor, "B K"] | None,
        reduction: str = "mean",
    ) -> Float[Tensor, "*rows"]:
        """Mean over the batch, or each error with ``reduction="none"``.

        Args:
            displacement: Predicted displacement, in the unit the network is trained in.
            true_displacement: Target displacement, in the same unit.
            scale: How far from the truth samples were drawn, in the same unit.
            reduction: As of PyTorch's losses.
        """
        ...


@dataclass(frozen=True)
class SquaredError:
    """Mean squared error, as in the paper."""

    needs_scale: ClassVar[bool] = False

    def __call__(
        self,
        displacement: Float[Tensor, "B K"],
        true_displacement: Float[Tensor, "B K"],
        scale: Float[Tensor, "B K"] | None = None,
        reduction: str = "mean",
    ) -> Float[Tensor, "*rows"]:
        """Mean over the batch, or each error."""
        return functional.mse_loss(displacement, true_displacement, reduction=reduction)


@dataclass(frozen=True)
class RelativeError:
    """Smooth L1 of the error divided by the scale of the sample: near and far ones count alike."""

    needs_scale: ClassVar[bool] = True

    def __call__(
        self,
        displacement: Float[Tensor, "B K"],
        true_displacement: Float[Tensor, "B K"],
        scale: Float[Tensor, "B K"] | None,
        reduction: str = "mean",
    ) -> Float[Tensor, "*rows"]:
        """Mean over the batch, or each error."""
        assert scale is not None
        scaled = (displacement / scale, true_displacement / scale)
        return functional.smooth_l1_loss(*scaled, reduction=reduction)


SQUARED_ERROR = SquaredError()


def check_alpha(alpha: float) -> float:
    """The weight alpha of Eq. 2, refused outside [0, 1].

    Raises:
        ValueError: Alpha is outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"model.alpha={alpha}: give a weight between 0 and 1")
    return alpha


def pin_loss(
    displacement: Float[Tensor, "B K"],
    logits: Float[Tensor, "B K2"],
    true_displacement: Float[Tensor, "B K"],
    true_direction: Int[Tensor, " B"],
    alpha: float,
    displacement_loss: DisplacementLoss = SQUARED_ERROR,
    scale: Float[Tensor, "B K"] | None = None,
    weight: Float[Tensor, " B"] | None = None,
) -> PINLoss:
    """Eq. 2: ``(1 - alpha)`` times mean squared displacement error + alpha times cross-entropy.

    Args:
        displacement: Predicted displacement, in the unit the network is trained in.
        logits: Scores of the 2K directions, before the softmax.
        true_displacement: Target displacement, in the same unit.
        true_direction: Target class from `targets.direction_target`.
        alpha: Weight of the direction term; 0 trains displacement only, 1 direction only.
        displacement_loss: The displacement term.
        scale: How far from the truth samples were drawn, where the displacement term needs it.
        weight: Of each row, as of `weight_of_known`: terms are weighted sums instead of means.

    Raises:
        ValueError: Alpha is outside [0, 1].
    """
    check_alpha(alpha)
    displacements = (displacement, true_displacement, scale)
    if weight is None:
        displacement_term = displacement_loss(*displacements)
        direction_term = functional.cross_entropy(logits, true_direction)
    else:
        each = displacement_loss(*displacements, reduction="none").mean(dim=1)
        displacement_term = mean_over(each, weight)
        each = functional.cross_entropy(logits, true_direction, reduction="none")
        direction_term = mean_over(each, weight)
    total = (1 - alpha) * displacement_term + alpha * direction_term
    return PINLoss(total, displacement_term, direction_term)


def mean_over(values: Float[Tensor, " B"], weight: Float[Tensor, " B"] | None) -> Float[Tensor, ""]:
    """Mean of values, or their weighted sum."""
    return values.mean() if weight is None else (values * weight).sum()


def weight_of_known(known: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Weights of the rows of this process; the mean over processes of weighted sums is over all.

    Rows are weighted rather than selected: selecting would make a graphics card synchronise.

    Args:
        known: Rows of this process that count; the others ask for theirs at the same time.

    Returns:
        0 for the others. The sum over this process is 1 for one process that knows any.
    """
    weight = known.float()
    every, processes = weight.sum(), 1
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(every)
        processes = dist.get_world_size()
    return weight * processes / every.clamp(min=1)

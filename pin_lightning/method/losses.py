"""The loss of the paper: displacement and direction, weighted by alpha (Eq. 2)."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch.distributed as dist
from torch.nn import functional

from pin_lightning.common.types import Bool, Float, Int, Tensor

Vectors: TypeAlias = Float[Tensor, "B K"]
Weight: TypeAlias = Float[Tensor, " B"]
Scalar: TypeAlias = Float[Tensor, ""]


class PINLoss(NamedTuple):
    """The weighted sum of Eq. 2 and its two terms, each averaged over the batch."""

    total: Scalar
    displacement: Scalar
    direction: Scalar


@runtime_checkable
class DisplacementLoss(Protocol):
    """The displacement term of Eq. 2."""

    @property
    def needs_scale(self) -> bool:
        """True if samples must carry the distance from the truth at which they were drawn."""
        ...

    def __call__(
        self, predicted: Vectors, truth: Vectors, scale: Vectors | None, reduction: str = "mean"
    ) -> Float[Tensor, "*rows"]:
        """Mean over the batch, or each error with ``reduction="none"``.

        Args:
            predicted: Predicted displacement, in the unit the network is trained in.
            truth: Target displacement, in the same unit.
            scale: Distance from the truth at which samples were drawn, in the same unit.
            reduction: As in PyTorch's losses.
        """
        ...


@dataclass(frozen=True)
class SquaredError:
    """Mean squared error, as in the paper."""

    needs_scale: ClassVar[bool] = False

    def __call__(
        self, predicted: Vectors, truth: Vectors, scale: Vectors | None, reduction: str = "mean"
    ) -> Float[Tensor, "*rows"]:
        """Mean over the batch, or each error."""
        return functional.mse_loss(predicted, truth, reduction=reduction)


@dataclass(frozen=True)
class RelativeError:
    """Smooth L1 of the error divided by the sample's scale: near and far samples count alike."""

    needs_scale: ClassVar[bool] = True

    def __call__(
        self, predicted: Vectors, truth: Vectors, scale: Vectors | None, reduction: str = "mean"
    ) -> Float[Tensor, "*rows"]:
        """Mean over the batch, or each error."""
        assert scale is not None
        return functional.smooth_l1_loss(predicted / scale, truth / scale, reduction=reduction)


SQUARED_ERROR = SquaredError()


def check_alpha(alpha: float) -> float:
    """Check the weight alpha of Eq. 2 and return it.

    Raises:
        ValueError: It is outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"model.alpha={alpha}: give a weight between 0 and 1")
    return alpha


def pin_loss(
    displacement: Vectors,
    logits: Float[Tensor, "B K2"],
    true_displacement: Vectors,
    true_direction: Int[Tensor, " B"],
    alpha: float,
    displacement_loss: DisplacementLoss = SQUARED_ERROR,
    scale: Vectors | None = None,
    weight: Weight | None = None,
) -> PINLoss:
    """Eq. 2: ``(1 - alpha)`` times mean squared displacement error + alpha times cross-entropy.

    Args:
        displacement: Predicted displacement, in the unit the network is trained in.
        logits: Scores of the 2K directions, before the softmax.
        true_displacement: Target displacement, in the same unit.
        true_direction: Target class from `targets.direction_target`.
        alpha: Weight of the direction term; 0 trains displacement only, 1 direction only.
        displacement_loss: The displacement term.
        scale: Distance from the truth at which samples were drawn, if that term needs it.
        weight: Weights of the rows from `weight_of_known`; by default terms are means.

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


def mean_over(values: Float[Tensor, " B"], weight: Weight | None) -> Scalar:
    """Mean of values, or their weighted sum."""
    return values.mean() if weight is None else (values * weight).sum()


def weight_of_known(known: Bool[Tensor, " B"]) -> Weight:
    """Weights of this process's rows, by which every known row of all processes counts alike.

    The mean over processes of their weighted sums is the mean over all known rows. Rows are
    weighted rather than selected, since selecting would synchronise with the GPU.

    Args:
        known: True for the rows that count. All processes call this at the same time.

    Returns:
        0 for rows that do not count; on a single process the others sum up to 1.
    """
    weight = known.float()
    every, processes = weight.sum(), 1
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(every)
        processes = dist.get_world_size()
    return weight * processes / every.clamp(min=1)

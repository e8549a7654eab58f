"""The loss of the paper: displacement and direction, weighted by alpha (Eq. 2)."""

from typing import NamedTuple

from torch.nn import functional

from pin_lightning.types import Float, Int, Tensor


class PINLoss(NamedTuple):
    """The weighted sum of Eq. 2 and its two terms, each averaged over the batch."""

    total: Float[Tensor, ""]
    displacement: Float[Tensor, ""]
    direction: Float[Tensor, ""]


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
) -> PINLoss:
    """Eq. 2: ``(1 - alpha)`` times mean squared displacement error + alpha times cross-entropy.

    Args:
        displacement: Predicted displacement, in the unit the network is trained in.
        logits: Scores of the 2K directions, before the softmax.
        true_displacement: Target displacement, in the same unit.
        true_direction: Target class from `targets.direction_target`.
        alpha: Weight of the direction term; 0 trains displacement only, 1 direction only.

    Raises:
        ValueError: Alpha is outside [0, 1].
    """
    check_alpha(alpha)
    displacement_term = functional.mse_loss(displacement, true_displacement)
    direction_term = functional.cross_entropy(logits, true_direction)
    total = (1 - alpha) * displacement_term + alpha * direction_term
    return PINLoss(total, displacement_term, direction_term)

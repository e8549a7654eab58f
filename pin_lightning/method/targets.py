"""Training targets of the two heads: displacement and direction (paper, Eq. 1)."""

import torch

from pin_lightning.common.types import Float, Int, Tensor


def displacement_target(
    true_parameters: Float[Tensor, "B K"], parameters: Float[Tensor, "B K"]
) -> Float[Tensor, "B K"]:
    """Displacement ``d_GT = b_GT - b`` from sampled to true shape parameters, in mm."""
    return true_parameters - parameters


def direction_target(displacement: Float[Tensor, "B K"]) -> Int[Tensor, " B"]:
    """Direction class of Eq. 1: the component of largest magnitude and its sign.

    Returns:
        ``2 i`` for the positive and ``2 i + 1`` for the negative direction of component i, one of
        2 K classes. A displacement of exactly zero counts as negative, as in Eq. 1.

    >>> direction_target(torch.tensor([[1.0, -3.0], [2.0, 0.5]])).tolist()
    [3, 0]
    """
    largest = displacement.abs().argmax(dim=1)
    value = displacement.gather(1, largest[:, None])[:, 0]
    return 2 * largest + (value <= 0).long()


def direction_signs(logits: Float[Tensor, "B K2"]) -> Float[Tensor, "B K 2"]:
    """Arrange class scores as (component, positive or negative)."""
    return logits.unflatten(1, (-1, 2))


def displacement_unit(unit: str, sd: Float[Tensor, " K"], spacing_mm: float) -> Float[Tensor, " K"]:
    """Length in mm of one unit of the displacement head, for each shape parameter.

    Args:
        unit: ``voxel``: the raw unit of the paper, one voxel of total landmark motion.
            ``sd``: each component is divided by its standard deviation in the shape model.
        sd: Standard deviations of the shape parameters in mm.
        spacing_mm: Voxel size of the working volume.

    Raises:
        ValueError: The unit is unknown.
    """
    units = {"voxel": torch.full_like(sd, spacing_mm), "sd": sd}
    if unit not in units:
        raise ValueError(f"model.displacement_unit={unit}: choose from {tuple(units)}")
    return units[unit]

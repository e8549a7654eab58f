"""The identity shape model: one landmark that moves freely in the volume (paper, "single")."""

from collections.abc import Sequence

import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.shape_models.base import SAMPLING_RANGE_SD, ShapeModel, check_shapes


class IdentityShapeModel(ShapeModel):
    """One landmark; its K = 3 parameters are its position in mm from the volume's centre.

    ``sd_`` is a sixth of the volume's extent, so that +-3 SD is the whole volume: training
    positions are then uniform over the volume, as in the paper.
    """

    each_by_itself = True

    def fit(self, shapes_mm: Float[Tensor, "M L 3"], extent_mm: Sequence[float]) -> ShapeModel:
        """Learn the mean position; the extent gives the range to sample.

        Raises:
            ValueError: The shapes hold more than one landmark.
        """
        if shapes_mm.shape[1] != 1:
            raise ValueError(
                f"shape=identity: holds one landmark, not {shapes_mm.shape[1]}; "
                "use shape=pca, or model=single with model.landmark=NAME"
            )
        self.mean_mm_ = check_shapes(shapes_mm).mean(dim=0).float()
        self.sd_ = torch.tensor(list(extent_mm), dtype=torch.float32) / (2 * SAMPLING_RANGE_SD)
        return self

    def encode(self, landmarks_mm: Float[Tensor, "*batch L 3"]) -> Float[Tensor, "*batch K"]:
        """The position itself."""
        return landmarks_mm.flatten(-2)

    def decode(self, parameters: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch L 3"]:
        """The position itself."""
        return parameters.unflatten(-1, (-1, 3))

    def starts(self, count: int, generator: torch.Generator) -> Float[Tensor, "S K"]:
        """The volume's centre, then 18 points a quarter of its size away (authors' code).

        Raises:
            ValueError: The count is not between 1 and 19.
        """
        if not 1 <= count <= 19:
            raise ValueError(f"model.num_starts={count}: one landmark has 1 to 19 starts")
        extent = 2 * SAMPLING_RANGE_SD * self.sd_
        return start_directions()[:count].to(extent) * extent / 4


def start_directions() -> Float[Tensor, "S K"]:
    """The centre, 6 axis and 12 edge-diagonal directions of a cube [19, 3], nearest first."""
    steps = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 0.0, 1.0])])
    axes_used = steps.abs().sum(dim=1)
    return torch.cat([steps[axes_used == n] for n in range(3)])

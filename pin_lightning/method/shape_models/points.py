"""The points shape model: several landmarks that move independently."""

from collections.abc import Sequence

import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.shape_models.base import (
    ShapeModel,
    check_shapes,
    scatter_variance,
    usual_scatter_mm,
)


class PointsShapeModel(ShapeModel):
    """L landmarks; their K = 3 L parameters are their offsets in mm from their mean positions.

    Each landmark is a group of parameters of its own. ``sd_`` is its scatter over the training
    shapes, the same along the three axes, and with few of them at least a usual one
    (`scatter_variance`).
    """

    each_by_itself = True

    @property
    def num_groups(self) -> int:
        """Groups of parameters: one for each landmark."""
        return self.num_landmarks

    def fit(self, shapes_mm: Float[Tensor, "M L 3"], extent_mm: Sequence[float]) -> ShapeModel:
        """Learn the mean position and the scatter of each landmark; one shape is enough."""
        number = len(check_shapes(shapes_mm))
        self.mean_mm_ = shapes_mm.mean(dim=0).float()
        own = shapes_mm.double().var(dim=0, correction=min(1, number - 1)).mean(dim=1)
        variance = scatter_variance(own, usual_scatter_mm(self.mean_mm_, extent_mm), number)
        self.sd_ = variance.sqrt().float().repeat_interleave(3)
        return self

    def encode(self, landmarks_mm: Float[Tensor, "*batch L 3"]) -> Float[Tensor, "*batch K"]:
        """Offsets from the mean positions."""
        return (landmarks_mm - self.mean_mm_).flatten(-2)

    def decode(self, parameters: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch L 3"]:
        """Positions at these offsets."""
        return self.mean_mm_ + parameters.unflatten(-1, (-1, 3))

    def starts(self, count: int, generator: torch.Generator) -> Float[Tensor, "S K"]:
        """The mean shape, then mean shapes with a random shift of the whole and of each landmark.

        Both are normal: the SD of the common shift is the mean scatter of a landmark, that of a
        landmark's own shift half its scatter.

        Raises:
            ValueError: The count is below one.
        """
        if count < 1:
            raise ValueError(f"model.num_starts={count}: give at least 1")
        normal = torch.randn(count, 1 + self.num_landmarks, 3, generator=generator)
        normal[0] = 0.0
        normal = normal.to(self.sd_.device)
        shift = normal[:, :1] * self.sd_.mean()
        return (shift + normal[:, 1:] * self.sd_.view(-1, 3) / 2).flatten(1)

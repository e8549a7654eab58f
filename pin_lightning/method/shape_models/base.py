"""Base class of the shape models: fit, encode, decode, sample and starts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from pin_lightning.common.types import Float, Num, Tensor

SAMPLING_RANGE_SD = 3.0  # range of training samples and random starts, as in the authors' code
ENOUGH_SHAPES = 5  # of so many the scatter is what they have
USUAL_SCATTER = 0.03  # of landmarks along each axis, as a share of the extent of the mean shape


class ShapeModel(nn.Module, ABC):
    """A map between K shape parameters and L landmarks in grid millimetres.

    `fit` learns the buffers below; as a module it moves to a device and is saved with the weights.
    Parameters are in mm of total landmark motion, centred so that 0 is the first start.

    Attributes:
        each_by_itself: True if each landmark has parameters of its own and moves by itself.
        mean_mm_: Mean training shape [L, 3], the guess that uses no image.
        sd_: Standard deviation of each shape parameter [K]; sampling covers +-3 of them.
    """

    each_by_itself: ClassVar[bool] = False
    mean_mm_: Tensor
    sd_: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_mm_", torch.zeros(0, 3))
        self.register_buffer("sd_", torch.zeros(0))

    @property
    def num_landmarks(self) -> int:
        """Landmarks L of the fitted model."""
        return len(self.mean_mm_)

    @property
    def num_parameters(self) -> int:
        """Shape parameters K of the fitted model."""
        return len(self.sd_)

    @property
    def num_groups(self) -> int:
        """Groups G of parameters that move independently; one where all move together."""
        return 1

    def by_group(self, values: Num[Tensor, "N Q"]) -> Num[Tensor, "M q"]:
        """Split the values of N points into rows, one for each of their groups."""
        return values.reshape(values.shape[0] * self.num_groups, -1)

    @abstractmethod
    def fit(self, shapes_mm: Float[Tensor, "M L 3"], extent_mm: Sequence[float]) -> "ShapeModel":
        """Learn from M training shapes in volumes that measure `extent_mm` along each axis."""

    @abstractmethod
    def encode(self, landmarks_mm: Float[Tensor, "*batch L 3"]) -> Float[Tensor, "*batch K"]:
        """Shape parameters of landmarks (paper, Eq. 4)."""

    @abstractmethod
    def decode(self, parameters: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch L 3"]:
        """Landmarks of shape parameters (paper, Eq. 3)."""

    def starts(self, count: int, generator: torch.Generator) -> Float[Tensor, "S K"]:
        """Initial shape parameters of the iteration: 0, then random ones within +-3 SD.

        Raises:
            ValueError: The count is below one.
        """
        if count < 1:
            raise ValueError(f"model.num_starts={count}: give at least 1")
        middle = torch.zeros(1, self.num_parameters, device=self.sd_.device)
        return torch.cat([middle, self.sample(count - 1, generator)])

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "B K"]:
        """Draw shape parameters uniformly within +-3 SD of 0, as the authors' code does."""
        shape, device = (count, self.num_parameters), generator.device
        uniform = torch.rand(shape, generator=generator, device=device)
        return (2 * uniform - 1).to(self.sd_.device) * (SAMPLING_RANGE_SD * self.sd_)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Resize the buffers, so that an unfitted model can load a fitted one."""
        for name, buffer in self.named_buffers(recurse=False):
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, buffer.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def scatter_variance(
    variance: Float[Tensor, "*values"],
    usual_mm: Float[Tensor, ""],
    num_shapes: int,
) -> Float[Tensor, "*values"]:
    """Variance of coordinates over training shapes, of which few say little about new ones.

    Below `ENOUGH_SHAPES` it is pulled towards the usual one, the less the more shapes there are,
    and only upwards: shapes that happen to be alike must not keep new ones from being found.

    Args:
        variance: Of the training shapes, mm²; not looked at where there is one.
        usual_mm: Scatter to expect, mm.
        num_shapes: Training shapes M.

    >>> scatter_variance(torch.tensor([0.0, 9.0]), torch.tensor(2.0), 3)
    tensor([2., 9.])
    """
    if num_shapes >= ENOUGH_SHAPES:
        return variance
    usual = usual_mm.square().to(variance).expand_as(variance)
    if num_shapes == 1:
        return usual
    share = (num_shapes - 1) / (ENOUGH_SHAPES - 1)
    return torch.maximum(variance, share * variance + (1 - share) * usual)


def usual_scatter_mm(
    mean_mm: Float[Tensor, "L 3"], extent_mm: Sequence[float]
) -> Float[Tensor, ""]:
    """Scatter of landmarks to expect of shapes in one pose: a share of the largest extent.

    The extent is that of the mean shape; that of the volume if all landmarks are in one place.
    """
    extent = (mean_mm.amax(dim=0) - mean_mm.amin(dim=0)).max()
    return USUAL_SCATTER * (extent if extent > 0 else torch.tensor(max(extent_mm)).to(extent))


def check_shapes(shapes_mm: Float[Tensor, "M L 3"]) -> Float[Tensor, "M L 3"]:
    """Check training shapes and return them.

    Raises:
        ValueError: There is no shape, or a coordinate is NaN or infinite.
    """
    if len(shapes_mm) == 0:
        raise ValueError("shape: there is no training case, lower data.split fractions")
    if not torch.isfinite(shapes_mm).all():
        raise ValueError("shape: a training landmark has a coordinate that is not finite")
    return shapes_mm

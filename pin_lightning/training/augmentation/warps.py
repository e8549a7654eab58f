"""Random maps between an augmented volume and the original, exact at every point."""

import math
from dataclasses import dataclass, fields

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Bool, Float, Tensor
from pin_lightning.training.augmentation.elastic import Elastic, draw_elastic, largest_sd

AXES = "xyz"
FINEST_SPACING = 0.05  # 23 control points along each axis


@dataclass(frozen=True, eq=False)
class Warp:
    """Maps of N samples, ``original = A (p + e(p)) + t``, from augmented to original grid mm.

    Voxels are looked up in this direction, landmarks move in the other.

    Attributes:
        linear: A; its determinant is negative where a sample is mirrored.
        shift_mm: t.
        flipped: True where a sample is mirrored.
        elastic: e, if asked for.
    """

    linear: Float[Tensor, "N 3 3"]
    shift_mm: Float[Tensor, "N 3"]
    flipped: Bool[Tensor, " N"]
    elastic: Elastic | None = None

    def __getitem__(self, samples: slice) -> "Warp":
        elastic = None if self.elastic is None else self.elastic[samples]
        return Warp(self.linear[samples], self.shift_mm[samples], self.flipped[samples], elastic)

    def to_original(self, points_mm: Float[Tensor, "N L 3"]) -> Float[Tensor, "N L 3"]:
        """Map points of the augmented volumes to the original ones."""
        if self.elastic is not None:
            points_mm = points_mm + self.elastic.at(points_mm)
        return times(self.linear, points_mm) + self.shift_mm[:, None]

    def from_original(self, points_mm: Float[Tensor, "N L 3"]) -> Float[Tensor, "N L 3"]:
        """Map points of the original volumes to the augmented ones, to a thousandth of a voxel."""
        inverse = torch.linalg.inv(self.linear)
        points_mm = times(inverse, points_mm - self.shift_mm[:, None])
        return points_mm if self.elastic is None else self.elastic.inverse(points_mm)


def times(
    matrices: Float[Tensor, "N 3 3"], points: Float[Tensor, "N L 3"]
) -> Float[Tensor, "N L 3"]:
    """Multiply points by matrices without a matrix product, whose precision may be lowered."""
    return (matrices[:, None] * points[..., None, :]).sum(-1)


@dataclass(frozen=True)
class WarpSettings:
    """Amplitudes of random maps; zero is no map.

    Attributes:
        rotation_sd_degrees: SD of the rotation angle about each axis.
        scale_sd: SD of the logarithm of the scale along each axis.
        shear_sd: SD of the shear of each pair of axes.
        shift_sd: SD of the shift along each axis, as a share of the volume's extent.
        elastic_sd: SD of the elastic displacement along each axis, likewise.
        elastic_spacing: Distance of the control points of that displacement, likewise.
        flip_probability: Share of samples that are mirrored.
        flip_axis: The axis of the working volume from left to right: x, y or z.

    Raises:
        ValueError: A setting is negative or not finite, or maps could not be inverted.
    """

    rotation_sd_degrees: float = 0.0
    scale_sd: float = 0.0
    shear_sd: float = 0.0
    shift_sd: float = 0.0
    elastic_sd: float = 0.0
    elastic_spacing: float = 0.25
    flip_probability: float = 0.0
    flip_axis: str = "x"

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        check_not_negative(self)
        if self.flip_probability > 1:
            raise ValueError(
                f"augmentation.flip_probability={self.flip_probability}: give a share from 0 to 1"
            )
        if self.flip_axis not in tuple(AXES):
            raise ValueError(f"augmentation.flip_axis={self.flip_axis}: give x, y or z")
        if not FINEST_SPACING <= self.elastic_spacing <= 1:
            raise ValueError(
                f"augmentation.elastic_spacing={self.elastic_spacing}: "
                f"give a share of the volume's extent, from {FINEST_SPACING} to 1"
            )
        if self.elastic_sd > (most := largest_sd(self.elastic_spacing)):
            raise ValueError(
                f"augmentation.elastic_sd={self.elastic_sd}: the volume would fold; give at most "
                f"{math.floor(most * 1e4) / 1e4:.4f} or raise augmentation.elastic_spacing"
            )

    @property
    def is_identity(self) -> bool:
        """True if every draw leaves the volume unchanged."""
        sizes = (self.rotation_sd_degrees, self.scale_sd, self.shear_sd, self.shift_sd)
        return not any((*sizes, self.elastic_sd, self.flip_probability))

    def draw(self, count: int, grid: Grid, generator: torch.Generator) -> Warp:
        """Draw maps of `count` samples on the device of the generator."""
        device = generator.device
        normal = torch.randn(4, count, 3, generator=generator, device=device)
        flipped = torch.rand(count, generator=generator, device=device) < self.flip_probability
        angles, scales, shears, shifts = normal.unbind()
        rotation = rotation_matrices(angles * math.radians(self.rotation_sd_degrees))
        stretched = rotation * torch.exp(self.scale_sd * scales)[:, None]
        linear = stretched @ _shears(self.shear_sd * shears)
        linear[:, :, AXES.index(self.flip_axis)] *= 1 - 2 * flipped[:, None].float()
        extent_mm = torch.tensor(grid.extent_mm, device=device)
        elastic = None
        if self.elastic_sd > 0:
            settings = (self.elastic_sd, self.elastic_spacing, grid.extent_mm)
            elastic = draw_elastic(count, *settings, generator)
        return Warp(linear, self.shift_sd * shifts * extent_mm, flipped, elastic)


def check_not_negative(settings: object) -> None:
    """Raise a ValueError if a number of a dataclass of settings is negative or not finite."""
    for one in fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, one.name)
        if isinstance(value, float | int) and not 0 <= value < math.inf:
            raise ValueError(f"augmentation.{one.name}={value}: give a number that is 0 or more")


def rotation_matrices(angles: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3 3"]:
    """Rotations by vectors: the direction is the axis, the length the angle in radians."""
    x, y, z = angles.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1)
    return torch.linalg.matrix_exp(cross.unflatten(1, (3, 3)))


def _shears(sizes: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3 3"]:
    """Unit upper triangular matrices: x by y, x by z, y by z."""
    matrices = torch.eye(3, device=sizes.device).repeat(len(sizes), 1, 1)
    matrices[:, 0, 1:] = sizes[:, :2]
    matrices[:, 1, 2] = sizes[:, 2]
    return matrices

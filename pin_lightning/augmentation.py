"""Landmark-exact augmentation: one random affine map for a volume and its landmarks together."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from pin_lightning.geometry import Grid
from pin_lightning.types import Float, Num, Tensor


@dataclass(frozen=True)
class AffineAugmentation:
    """Random rotation, anisotropic scale and shift about the centre of the volume.

    All zero leaves every volume as it is.

    Attributes:
        rotation_sd_degrees: SD of the rotation angle about each axis.
        scale_sd: SD of the logarithm of the scale along each axis.
        shift_sd: SD of the shift along each axis, as a share of the volume's extent.
        gain_sd: SD of the logarithm of a factor on intensity.
    """

    rotation_sd_degrees: float = 0.0
    scale_sd: float = 0.0
    shift_sd: float = 0.0
    gain_sd: float = 0.0

    def __call__(
        self,
        volume: Num[Tensor, "X Y Z"],
        landmarks_mm: Float[Tensor, "L 3"],
        grid: Grid,
        generator: torch.Generator,
    ) -> tuple[Num[Tensor, "X Y Z"], Float[Tensor, "L 3"]]:
        """A transformed volume and the positions its landmarks have there.

        Args:
            volume: Working volume on the grid, 0 to 255.
            landmarks_mm: Landmarks in grid mm.
            grid: Working grid.
            generator: Source of the random draws.
        """
        if self == AffineAugmentation():
            return volume, landmarks_mm
        linear, shift_mm = self.draw(grid, generator)
        gain = torch.exp(self.gain_sd * torch.randn((), generator=generator))
        warped = warp_volume(volume, linear, shift_mm, grid, float(gain))
        return warped, landmarks_mm @ linear.T + shift_mm

    def draw(
        self, grid: Grid, generator: torch.Generator
    ) -> tuple[Float[Tensor, "3 3"], Float[Tensor, " 3"]]:
        """Linear part and shift in mm of a random map from old to new grid mm."""
        angles, scales, shift = torch.randn(3, 3, generator=generator)
        angles = torch.deg2rad(self.rotation_sd_degrees * angles)
        linear = rotation_matrix(angles) @ torch.diag(torch.exp(self.scale_sd * scales))
        return linear, self.shift_sd * shift * torch.tensor(grid.extent_mm)


def rotation_matrix(angles: Float[Tensor, " 3"]) -> Float[Tensor, "3 3"]:
    """Rotation by a vector: its direction is the axis, its length the angle in radians."""
    x, y, z = angles.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=angles.dtype)
    return torch.linalg.matrix_exp(cross)


def warp_volume(
    volume: Num[Tensor, "X Y Z"],
    linear: Float[Tensor, "3 3"],
    shift_mm: Float[Tensor, " 3"],
    grid: Grid,
    gain: float = 1.0,
) -> Num[Tensor, "X Y Z"]:
    """Volume whose content has moved by ``p -> linear p + shift`` in grid mm, trilinear, 0 outside.

    Args:
        volume: Working volume on the grid, 0 to 255.
        linear: Linear part of the map.
        shift_mm: Shift of the map.
        grid: Working grid.
        gain: Factor on intensity.

    Returns:
        The moved volume, in the dtype of the volume.
    """
    # torch samples the old volume at each new voxel, in units of half the distance between the
    # centres of the outermost voxels, axes in reverse order.
    half_mm = (torch.tensor(grid.size) - 1).clamp(min=1) / 2 * grid.spacing_mm
    inverse = torch.linalg.inv(linear)
    matrix = torch.cat([inverse * half_mm, -(inverse @ shift_mm)[:, None]], dim=1)
    theta = matrix / half_mm[:, None]
    theta = torch.cat([theta[:, :3].flip(0, 1), theta[:, 3:].flip(0)], dim=1)
    shape = (1, 1, *grid.size)
    coordinates = functional.affine_grid(theta[None], list(shape), align_corners=True)
    moved = functional.grid_sample(volume.float()[None, None], coordinates, align_corners=True)[
        0, 0
    ]
    moved = moved.mul_(gain).clamp_(0, 255)
    return moved.to(volume.dtype) if volume.is_floating_point() else moved.round_().to(volume.dtype)

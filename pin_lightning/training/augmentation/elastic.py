"""Smooth random displacements: cubic B-splines on a coarse lattice over the working volume."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pin_lightning.common.types import Float, Tensor

# Positions, displacements and the spacing of the lattice are shares of the volume's extent.
LONGEST_SD = 3.0  # displacements of control points are shortened to this many of their SDs
# SD of the spline over that of its control points: the root of its mean square weight, in 3D.
SPLINE_SD = (151 / 315) ** 1.5
# The sum over all control points of |derivative of their weight|, along any direction.
STEEPEST = 1.5
MOST_CONTRACTION = 0.8  # of the map p -> e(p): below 1, p + e(p) has exactly one inverse
TOLERANCE = 1e-6  # of the inverse, a three-thousandth of a voxel of the paper's volumes
MOST_ITERATIONS = 100  # 0.8 ** 100 is beyond the last digit


def largest_sd(spacing: float) -> float:
    """SD of the displacement up to which every draw can be inverted, for a lattice spacing."""
    return MOST_CONTRACTION * spacing * SPLINE_SD / (STEEPEST * LONGEST_SD)


@dataclass(frozen=True, eq=False)
class Elastic:
    """Displacements ``e(p)`` of N samples, twice differentiable and zero far from the volume.

    Attributes:
        control_mm: Displacement at each of G^3 control points.
        extent_mm: Sides of the volume.
        spacing: Distance of control points along each axis, a share of the volume's extent.
    """

    control_mm: Float[Tensor, "N G G G 3"]
    extent_mm: Float[Tensor, " 3"]
    spacing: float

    def __getitem__(self, samples: slice) -> "Elastic":
        return replace(self, control_mm=self.control_mm[samples])

    def weights(
        self, coordinates_mm: Float[Tensor, "*points 3 P"]
    ) -> Float[Tensor, "*points 3 P G"]:
        """Cubic B-spline weights of the control points at P coordinates along each axis."""
        count = self.control_mm.shape[1]
        step_mm = self.extent_mm[:, None] * self.spacing
        nodes = torch.arange(count, device=step_mm.device) - (count - 1) / 2
        distance = (coordinates_mm / step_mm).unsqueeze(-1).sub(nodes).abs_()
        outer = (2 - distance).clamp_(min=0).pow_(3)
        return outer.sub_((1 - distance).clamp_(min=0).pow_(3), alpha=4).div_(6)

    def at(self, points_mm: Float[Tensor, "N L 3"]) -> Float[Tensor, "N L 3"]:
        """Displacement at points."""
        x, y, z = self.weights(points_mm[..., None]).unbind(2)
        along_x = x.squeeze(2) @ self.control_mm.flatten(2)
        along_y = y @ along_x.unflatten(2, (y.shape[-1], -1))
        return (z @ along_y.squeeze(2).unflatten(2, (z.shape[-1], 3))).squeeze(2)

    def inverse(self, moved_mm: Float[Tensor, "N L 3"]) -> Float[Tensor, "N L 3"]:
        """Solve ``p + e(p) = moved`` by fixed-point iteration: e is a contraction (Banach)."""
        points_mm = moved_mm
        for _ in range(MOST_ITERATIONS):
            before_mm, points_mm = points_mm, moved_mm - self.at(points_mm)
            if ((points_mm - before_mm).abs() / self.extent_mm).max() < TOLERANCE:
                break
        return points_mm


def draw_elastic(
    count: int, sd: float, spacing: float, extent_mm: Sequence[float], generator: torch.Generator
) -> Elastic:
    """Draw displacements of `count` samples, each of which can be inverted.

    Args:
        count: Samples N.
        sd: SD of the displacement along each axis, a share of the volume's extent; at most
            `largest_sd`.
        spacing: Distance of control points, a share of the extent.
        extent_mm: Sides of the volume.
        generator: Source of the draws, on the device of the result.
    """
    # One control point beyond each face on either side, so that inside all weights sum to one.
    side = math.ceil(1 / spacing - 1e-6) + 3
    shape, device = (count, side, side, side, 3), generator.device
    control = torch.randn(shape, generator=generator, device=device)
    control *= (LONGEST_SD / control.norm(dim=-1, keepdim=True)).clamp(max=1)
    extent = torch.tensor(list(extent_mm), device=device)
    return Elastic(control * (sd / SPLINE_SD) * extent, extent, spacing)

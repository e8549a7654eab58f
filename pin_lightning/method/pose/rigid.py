"""Poses as tensors, and the pose that fits displaced landmarks best."""

from dataclasses import dataclass

import torch

from pin_lightning.common.types import Float, Tensor

# Squarings of the quaternion matrix: its largest eigenvector stands out by a power of 2^20.
_SQUARINGS = 20
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of a shape: ``x -> linear @ x + shift_mm``, linear a rotation times a scale.

    Attributes:
        linear: Rotations times scales.
        shift_mm: Shifts.
    """

    linear: Float[Tensor, "N 3 3"]
    shift_mm: Float[Tensor, "N 3"]

    def place(self, shape_mm: Float[Tensor, "L 3"]) -> Float[Tensor, "N L 3"]:
        """Place a shape."""
        each = shape_mm.expand(self.linear.shape[0], -1, -1)  # len() would fix it in a graph
        return turned(self.linear, each) + self.shift_mm[:, None]

    def take(self, which: Tensor | slice) -> "Poses":
        """Some of the poses."""
        return Poses(self.linear[which], self.shift_mm[which])

    def to(self, device: torch.device) -> "Poses":
        """Copy to a device."""
        return Poses(self.linear.to(device), self.shift_mm.to(device))


def turned(
    linear: Float[Tensor, "N 3 3"], points_mm: Float[Tensor, "N L 3"]
) -> Float[Tensor, "N L 3"]:
    """Multiply points by matrices, without a matrix product, whose precision may be lowered."""
    return (linear[:, None] * points_mm[..., None, :]).sum(-1)


def fit_poses(
    shape_mm: Float[Tensor, "L 3"],
    placed_mm: Float[Tensor, "N L 3"],
    weights: Float[Tensor, "N L"],
    largest_scale: float = 1.0,
) -> Poses:
    """Fit the poses that place a shape with the least sum of weighted squared distances.

    The rotation is the unit quaternion of the largest eigenvalue of Horn's matrix (J. Opt. Soc. Am.
    A, 1987), which is never a reflection, found by squaring that matrix: in products and sums
    alone, so that it can be written as ONNX.

    Args:
        shape_mm: The shape.
        placed_mm: Where its landmarks should lie.
        weights: Weights of the landmarks, above 0.
        largest_scale: Above 1 the size is fitted, too, within this factor of the shape's: an
            iteration that has lost the anatomy could make it vanish.
    """
    share = (weights / weights.sum(dim=1, keepdim=True)).double()[..., None]
    source, target = shape_mm.double(), placed_mm.double()
    centre, centre_placed = (share * source).sum(1), (share * target).sum(1)
    source, target = source - centre[:, None], target - centre_placed[:, None]
    moments = (share[..., None] * source[..., None] * target[..., None, :]).sum(1)
    rotation = rotations(_largest_eigenvector(_horn(moments)))
    scale = torch.ones_like(share[:, 0])
    if largest_scale > 1:
        aligned = (rotation[:, None] * source[..., None, :]).sum(-1)
        size = (share * source.square()).sum((1, 2)).clamp(min=_TINY)
        scale = ((share * aligned * target).sum((1, 2)) / size)[:, None]
        scale = scale.clamp(1 / largest_scale, largest_scale)
    linear = rotation * scale[..., None]
    shift_mm = centre_placed - (linear * centre[:, None]).sum(-1)
    return Poses(linear.to(placed_mm.dtype), shift_mm.to(placed_mm.dtype))


def _horn(moments: Float[Tensor, "N 3 3"]) -> Float[Tensor, "N 4 4"]:
    """Symmetric matrix whose largest eigenvector is the quaternion (w, x, y, z) of the rotation."""
    ((xx, xy, xz), (yx, yy, yz), (zx, zy, zz)) = (row.unbind(-1) for row in moments.unbind(-2))
    rows = (
        (xx + yy + zz, yz - zy, zx - xz, xy - yx),
        (yz - zy, xx - yy - zz, xy + yx, zx + xz),
        (zx - xz, xy + yx, yy - xx - zz, yz + zy),
        (xy - yx, zx + xz, yz + zy, zz - xx - yy),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _largest_eigenvector(matrices: Float[Tensor, "N 4 4"]) -> Float[Tensor, "N 4"]:
    """Eigenvector of the largest eigenvalue of symmetric matrices without trace."""
    size = matrices.square().sum((1, 2), keepdim=True).sqrt().clamp(min=_TINY)
    identity = torch.eye(4, dtype=matrices.dtype, device=matrices.device)
    power = matrices / size + identity  # shifted: no eigenvalue is negative
    for _ in range(_SQUARINGS):
        power = power @ power
        power = power / power.square().sum((1, 2), keepdim=True).sqrt()
    # The power is the outer product of the vector with itself: its longest column.
    lengths = torch.diagonal(power, dim1=1, dim2=2)
    best = lengths.argmax(dim=1)[:, None, None].expand(-1, 4, 1)
    column = power.gather(2, best)[..., 0]
    return column / column.square().sum(1, keepdim=True).sqrt()


def rotations(quaternions: Float[Tensor, "N 4"]) -> Float[Tensor, "N 3 3"]:
    """Rotation matrices of unit quaternions (w, x, y, z)."""
    w, x, y, z = quaternions.unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def rotations_about(
    directions: Float[Tensor, "N 3"], degrees: Float[Tensor, " N"]
) -> Float[Tensor, "N 3 3"]:
    """Rotation matrices about directions of any length."""
    half = torch.deg2rad(degrees) / 2
    along = directions / directions.norm(dim=1, keepdim=True)
    return rotations(torch.cat([half.cos()[:, None], half.sin()[:, None] * along], dim=1))


def half_turns(shape_mm: Float[Tensor, "L 3"]) -> Float[Tensor, "3 3 3"]:
    """Rotations by 180 degrees about the principal axes of a shape.

    A nearly symmetric anatomy looks alike after them.
    """
    centred = shape_mm - shape_mm.mean(dim=0)
    axes = torch.linalg.svd(centred, full_matrices=True)[2]
    return rotations_about(axes, torch.full((3,), 180.0, device=axes.device))


def angles(one: Float[Tensor, "N 3 3"], other: Float[Tensor, "N 3 3"]) -> Float[Tensor, " N"]:
    """Angles in radians between rotations, or between poses' matrices of the same scales."""
    half_chord = (unit(one) - unit(other)).square().sum((-2, -1)).sqrt() / 8**0.5
    return 2 * torch.asin(half_chord.clamp(max=1.0))


def unit(linear: Float[Tensor, "*N 3 3"]) -> Float[Tensor, "*N 3 3"]:
    """Rotations of poses' matrices."""
    return linear / linear[..., 0].square().sum(-1).sqrt()[..., None, None]

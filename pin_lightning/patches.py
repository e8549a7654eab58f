"""2.5D patches: three orthogonal planes cut at every landmark (paper, "Network Input")."""

import torch
from torch.nn import functional

from pin_lightning.types import Float, Int, Num, Tensor

INTERPOLATIONS = ("nearest", "linear")


def check_patch_side(side: int) -> int:
    """Patch side, refused unless it is an odd positive number (a patch has a centre voxel).

    Raises:
        ValueError: The side is even or below one.
    """
    if side < 1 or side % 2 == 0:
        raise ValueError(f"model.patch_side={side}: give an odd number of voxels, for example 49")
    return side


def check_interpolation(interpolation: str) -> str:
    """How patches are cut, refused unless it is one of `INTERPOLATIONS`.

    Raises:
        ValueError: The name is unknown.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"model.interpolation={interpolation}: choose from {INTERPOLATIONS}")
    return interpolation


def add_border(volumes: Num[Tensor, "V X Y Z"]) -> Num[Tensor, "V X2 Y2 Z2"]:
    """Volumes with one zero voxel added on every side, as `cut_patches` wants them.

    Every position outside a volume is then read from the border, so "zero outside" needs no mask.
    """
    return functional.pad(volumes, (1, 1, 1, 1, 1, 1))


def cut_patches(
    bordered: Num[Tensor, "V X2 Y2 Z2"],
    volume_index: Int[Tensor, " N"],
    positions_ijk: Float[Tensor, "N L 3"],
    side: int,
    interpolation: str = "nearest",
) -> Num[Tensor, "N C P P"]:
    """Cut the yz, xz and xy planes centred at each landmark position (paper, Fig. 2a and 2b).

    Args:
        bordered: Volumes from `add_border`, any dtype.
        volume_index: Which volume each of the N sets of landmarks lies in.
        positions_ijk: Patch centres, voxels of the volume without its border.
        side: Patch side P in voxels, odd.
        interpolation: ``nearest`` rounds a centre to the nearest voxel, ``linear`` interpolates.

    Returns:
        Patches in the dtype of the volumes; channel ``3 l + p`` is plane p (yz, xz, xy) of landmark
        l, with rows and columns in axis order. Zero outside the volume.

    Raises:
        ValueError: The side is not odd, or the interpolation is unknown.
    """
    check_patch_side(side)
    check_interpolation(interpolation)
    cut = _cut_nearest if interpolation == "nearest" else _cut_linear
    return cut(bordered, volume_index, positions_ijk + 1, side)  # +1: skip the border


def _cut_nearest(
    bordered: Num[Tensor, "V X2 Y2 Z2"],
    volume_index: Int[Tensor, " N"],
    centres: Float[Tensor, "N L 3"],
    side: int,
) -> Num[Tensor, "N C P P"]:
    # floor(x + 0.5) and not round(): round-half-to-even would make a half-voxel step vanish.
    return _gather(bordered, volume_index, torch.floor(centres + 0.5).long(), side)


def _cut_linear(
    bordered: Num[Tensor, "V X2 Y2 Z2"],
    volume_index: Int[Tensor, " N"],
    centres: Float[Tensor, "N L 3"],
    side: int,
) -> Num[Tensor, "N C P P"]:
    """Weighted sum of the eight whole-voxel patches around the centres (trilinear)."""
    low = torch.floor(centres)
    fraction = centres - low
    total: Tensor | float = 0.0
    for corner in torch.cartesian_prod(*3 * [torch.arange(2, device=centres.device)]):
        weight = torch.where(corner.bool(), fraction, 1 - fraction).prod(-1)
        patches = _gather(bordered, volume_index, low.long() + corner, side)
        weights = weight.repeat_interleave(3, dim=1)[:, :, None, None]
        total = total + weights * patches
    assert isinstance(total, Tensor)
    if not bordered.dtype.is_floating_point:
        total = total.round()
    return total.to(bordered.dtype)


def _gather(
    bordered: Num[Tensor, "V X2 Y2 Z2"],
    volume_index: Int[Tensor, " N"],
    centres: Int[Tensor, "N L 3"],
    side: int,
) -> Num[Tensor, "N C P P"]:
    offsets = torch.arange(side, device=centres.device) - side // 2
    last = torch.tensor(bordered.shape[1:], device=centres.device) - 1
    # Positions beyond the border are clamped onto it, where the volume is zero.
    x, y, z = torch.minimum((centres[..., None] + offsets).clamp(min=0), last[:, None]).unbind(2)
    cx, cy, cz = torch.minimum(centres.clamp(min=0), last)[..., None, None].unbind(2)
    rows, columns = (lambda axis: axis[..., :, None]), (lambda axis: axis[..., None, :])
    volume = volume_index[:, None, None, None]
    planes = [
        bordered[volume, cx, rows(y), columns(z)],
        bordered[volume, rows(x), cy, columns(z)],
        bordered[volume, rows(x), columns(y), cz],
    ]
    return torch.stack(planes, dim=2).flatten(1, 2)


def default_patch_side(size: tuple[int, int, int]) -> int:
    """Patch side for a working volume of this size, odd, in the proportion of the paper.

    The paper cuts 101 voxels from 324 x 207 x 279: 0.38 of the geometric mean of the sides.

    >>> default_patch_side((324, 207, 279))
    101
    """
    mean_side = float(torch.tensor(size, dtype=torch.float64).log().mean().exp())
    return 2 * round((0.38 * mean_side - 1) / 2) + 1

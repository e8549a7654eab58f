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
    whole = torch.floor(centres + 0.5).long()
    return _gather(bordered, volume_index, whole, whole - side // 2, side).flatten(1, 2)


def _cut_linear(
    bordered: Num[Tensor, "V X2 Y2 Z2"],
    volume_index: Int[Tensor, " N"],
    centres: Float[Tensor, "N L 3"],
    side: int,
) -> Num[Tensor, "N C P P"]:
    """Trilinear: two planes, one voxel larger, blended across and then along both their axes."""
    low = torch.floor(centres)
    # For planes yz, xz, xy: the fraction across, along the rows and along the columns.
    x, y, z = (centres - low)[..., None, None].unbind(2)
    across = torch.stack([x, y, z], dim=2)
    down, right = torch.stack([y, x, x], dim=2), torch.stack([z, z, y], dim=2)
    whole = low.long()
    near, far = (
        _gather(bordered, volume_index, whole + step, whole - side // 2, side + 1).float()
        for step in (0, 1)
    )
    plane = torch.lerp(near, far, across)
    rows = torch.lerp(plane[..., :-1, :], plane[..., 1:, :], down)
    patches = torch.lerp(rows[..., :-1], rows[..., 1:], right).flatten(1, 2)
    return (patches if bordered.dtype.is_floating_point else patches.round()).to(bordered.dtype)


def _gather(
    bordered: Num[Tensor, "V X2 Y2 Z2"],
    volume_index: Int[Tensor, " N"],
    planes: Int[Tensor, "N L 3"],
    first: Int[Tensor, "N L 3"],
    side: int,
) -> Num[Tensor, "N L 3 P P"]:
    """Squares of whole voxels in the planes yz, xz, xy.

    Args:
        bordered: Volumes with their border.
        volume_index: Which volume each set of landmarks lies in.
        planes: Where the planes lie: x of yz, y of xz, z of xy.
        first: Where the squares begin along each axis.
        side: Their side.
    """
    short = [max(side - size, 0) for size in bordered.shape[1:]]
    if any(short):  # zeros, so that every axis holds a whole square
        bordered = functional.pad(bordered, [n for size in short[::-1] for n in (0, size)])
    last = torch.tensor(bordered.shape[1:], device=first.device) - 1
    # Positions beyond the border are clamped onto it, where the volume is zero.
    rows = first[..., None] + torch.arange(side, device=first.device)
    x, y, _ = torch.minimum(rows.clamp(min=0), last[:, None]).unbind(2)
    cx, cy, cz = torch.minimum(planes.clamp(min=0), last)[..., None].unbind(2)
    _, from_y, from_z = first[..., None].unbind(2)
    volume = volume_index[:, None, None]
    squares = [
        _rows(bordered, side, 2, volume, (cx, y, from_z)),
        _rows(bordered, side, 2, volume, (x, cy, from_z)),
        _rows(bordered, side, 1, volume, (x, from_y, cz)),
    ]
    return torch.stack(squares, dim=2)


def _rows(
    bordered: Num[Tensor, "V X2 Y2 Z2"],
    side: int,
    axis: int,
    volume: Int[Tensor, "N 1 1"],
    places: tuple[Tensor, Tensor, Tensor],
) -> Num[Tensor, "N L P P"]:
    """Squares of which every row, along one axis, is copied in one piece.

    That is several times faster than to look up every voxel.

    Args:
        bordered: Volumes with their border.
        side: Side P of the squares.
        axis: The axis that the rows run along.
        volume: Which volume each square lies in.
        places: Where the rows lie along x, y and z, [N, L, P] or [N, L, 1]; along `axis`, where
            they begin, which may be outside.
    """
    unfolded = bordered.unfold(axis + 1, side, 1)
    begin = places[axis].clamp(0, unfolded.shape[axis + 1] - 1)
    x, y, z = (begin if index == axis else place for index, place in enumerate(places))
    return _shifted(unfolded[volume, x, y, z], (places[axis] - begin)[..., 0])


def _shifted(
    squares: Num[Tensor, "N L P P"], columns: Int[Tensor, "N L"]
) -> Num[Tensor, "N L P P"]:
    """Squares moved left by some columns each, zero where nothing comes in; edits its argument."""
    # A graphics card moves all of them rather than wait to be told which.
    which = (slice(None),) if squares.is_cuda else columns.nonzero(as_tuple=True)
    some, by, side = squares[which], columns[which], squares.shape[-1]
    source = torch.arange(side, device=columns.device) + by[..., None]
    inside = (source >= 0) & (source < side)
    index = source.clamp(0, side - 1)[..., None, :].expand_as(some)
    squares[which] = some.gather(-1, index) * inside[..., None, :]
    return squares


def default_patch_side(size: tuple[int, int, int]) -> int:
    """Patch side for a working volume of this size, odd, in the proportion of the paper.

    The paper cuts 101 voxels from 324 x 207 x 279: 0.38 of the geometric mean of the sides.

    >>> default_patch_side((324, 207, 279))
    101
    """
    mean_side = float(torch.tensor(size, dtype=torch.float64).log().mean().exp())
    return 2 * round((0.38 * mean_side - 1) / 2) + 1

"""2.5D patches: three orthogonal planes cut at every landmark (paper, "Network Input")."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch.nn import functional

from pin_lightning.common.types import Float, Int, Num, Tensor

INTERPOLATIONS = ("nearest", "linear")
VolumeIndex: TypeAlias = Int[Tensor, " N"]  # volume that each set of landmarks lies in
Voxels: TypeAlias = Int[Tensor, "N L 3"]
Squares: TypeAlias = Num[Tensor, "N L 3 P P"]
Patches: TypeAlias = Num[Tensor, "N C P P"]


def check_patch_side(side: int) -> int:
    """Check a patch side and return it.

    Raises:
        ValueError: It is not an odd positive number, so that a patch has no centre voxel.
    """
    if side < 1 or side % 2 == 0:
        raise ValueError(f"model.patch_side={side}: give an odd number of voxels, for example 49")
    return side


def check_interpolation(interpolation: str) -> str:
    """Check the name of an interpolation and return it.

    Raises:
        ValueError: It is not one of `INTERPOLATIONS`.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"model.interpolation={interpolation}: choose from {INTERPOLATIONS}")
    return interpolation


@dataclass(frozen=True, eq=False)
class BorderedVolumes:
    """Volumes with a border of one zero voxel, laid out for `cut_patches`.

    Positions outside a volume are clamped onto its border and read 0 without a mask.

    Attributes:
        buffer: All voxels with z fastest, followed by an optional turned copy with y fastest, in
            which the rows of xy planes are contiguous, too.
        shape: Number of volumes, and their sides with the border.
    """

    buffer: Num[Tensor, " M"]
    shape: tuple[int, int, int, int]

    @property
    def voxels(self) -> Num[Tensor, "V X2 Y2 Z2"]:
        """View of the volumes."""
        return self.buffer[: math.prod(self.shape)].view(self.shape)

    @property
    def turned(self) -> Num[Tensor, "V X2 Z2 Y2"] | None:
        """View of the turned copy, y fastest; None without one."""
        volumes, x, y, z = self.shape
        again = self.buffer[math.prod(self.shape) :]
        return again.view(volumes, x, z, y) if len(again) else None

    def set(self, index: int, volume: Num[Tensor, "X Y Z"]) -> None:
        """Copy one volume in; its border stays."""
        inner = (slice(1, -1),) * 3
        self.voxels[index][inner] = volume
        if self.turned is not None:
            self.turned[index][inner] = volume.transpose(1, 2)

    def to(self, device: torch.device) -> "BorderedVolumes":
        """Copy to a device."""
        return BorderedVolumes(self.buffer.to(device), self.shape)


def bordered_size(
    count: int, size: Sequence[int], turned: bool = False
) -> tuple[int, tuple[int, int, int, int]]:
    """Length of the buffer and shape of `BorderedVolumes`."""
    x, y, z = (side + 2 for side in size)
    return count * x * y * z * (1 + turned), (count, x, y, z)


def add_border(volumes: Num[Tensor, "V X Y Z"], turned: bool = False) -> BorderedVolumes:
    """Lay out volumes for `cut_patches`.

    Args:
        volumes: Any dtype.
        turned: Add the turned copy: twice the memory, faster to cut many times.
    """
    length, shape = bordered_size(volumes.shape[0], volumes.shape[1:], turned)
    if torch.compiler.is_exporting():
        return BorderedVolumes(functional.pad(volumes, 6 * [1]).flatten(), shape)
    bordered = BorderedVolumes(volumes.new_zeros(length), shape)
    for index, volume in enumerate(volumes):
        bordered.set(index, volume)
    return bordered


def cut_patches(
    bordered: BorderedVolumes,
    volume_index: VolumeIndex,
    positions_ijk: Float[Tensor, "N L 3"],
    side: int,
    interpolation: str = "nearest",
) -> Patches:
    """Cut the yz, xz and xy planes centred at each landmark position (paper, Fig. 2a and 2b).

    Args:
        bordered: Volumes from `add_border`.
        volume_index: Volume that each of the N sets of landmarks lies in.
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
    bordered: BorderedVolumes, volume_index: VolumeIndex, centres: Float[Tensor, "N L 3"], side: int
) -> Patches:
    # floor(x + 0.5) and not round(): round-half-to-even would make a half-voxel step vanish.
    whole = torch.floor(centres + 0.5).long()
    return _gather(bordered, volume_index, whole, whole - side // 2, side).flatten(1, 2)


def _cut_linear(
    bordered: BorderedVolumes, volume_index: VolumeIndex, centres: Float[Tensor, "N L 3"], side: int
) -> Patches:
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
    dtype = bordered.buffer.dtype
    return (patches if dtype.is_floating_point else patches.round()).to(dtype)


def _gather(
    bordered: BorderedVolumes, volume_index: VolumeIndex, planes: Voxels, first: Voxels, side: int
) -> Squares:
    """Squares of whole voxels in the planes yz, xz, xy.

    `planes` holds the x of the yz plane, y of xz and z of xy, `first` the first voxel of the
    squares along each axis.
    """
    bordered = _at_least(bordered, side)
    _, size_x, size_y, size_z = bordered.shape
    # Positions beyond the border are clamped onto it, where the volume is zero. The sizes are
    # numbers: tensors would have to be copied to the GPU, which synchronises.
    rows = first[..., None] + torch.arange(side, device=first.device)
    x, y = rows[:, :, 0].clamp(0, size_x - 1), rows[:, :, 1].clamp(0, size_y - 1)
    cx = planes[..., :1].clamp(0, size_x - 1)
    cy = planes[..., 1:2].clamp(0, size_y - 1)
    cz = planes[..., 2:].clamp(0, size_z - 1)
    # Rows run along z in the planes yz and xz, along y in xy; each is copied in one piece.
    begin_y = first[..., 1:2].clamp(0, size_y - side)
    begin_z = first[..., 2:].clamp(0, size_z - side)
    outside_y, outside_z = first[..., 1:2] - begin_y, first[..., 2:] - begin_z
    volume_x = volume_index[:, None, None] * size_x
    yz = ((volume_x + cx) * size_y + y) * size_z + begin_z
    xz = ((volume_x + x) * size_y + cy) * size_z + begin_z
    if bordered.turned is None:
        squares = _runs(bordered.buffer, torch.stack([yz, xz, xz], dim=2), side)
        unfolded = bordered.voxels.unfold(2, side, 1)
        squares[:, :, 2] = unfolded[volume_index[:, None, None], x, begin_y, cz]
    else:
        xy = math.prod(bordered.shape) + ((volume_x + x) * size_z + cz) * size_y + begin_y
        squares = _runs(bordered.buffer, torch.stack([yz, xz, xy], dim=2), side)
    outside = torch.cat([outside_z, outside_z, outside_y], dim=2)
    _shift(squares.flatten(0, 2), outside.flatten())
    return squares


def _at_least(bordered: BorderedVolumes, side: int) -> BorderedVolumes:
    """Volumes padded with zeros behind, so that every axis is at least a square's side long."""
    short = [max(side - size, 0) for size in bordered.shape[1:]]
    if not any(short):
        return bordered
    behind = [amount for size in short[::-1] for amount in (0, int(size))]
    padded = functional.pad(bordered.voxels, behind)
    volumes, x, y, z = padded.shape
    return BorderedVolumes(padded.flatten(), (volumes, x, y, z))


def _runs(
    buffer: Num[Tensor, " M"], begin: Int[Tensor, "*squares P"], side: int
) -> Num[Tensor, "*squares P P"]:
    """Rows of `side` contiguous voxels, by the index of the first: faster than one per voxel."""
    rows = buffer.as_strided((len(buffer) - side + 1, side), (1, 1), buffer.storage_offset())
    return rows.index_select(0, begin.flatten()).view(*begin.shape, side)


def _shift(squares: Num[Tensor, "M P P"], columns: Int[Tensor, " M"]) -> None:
    """Shift each square left by some columns, in place; zeros come in."""
    # On CUDA shift all of them: selecting would synchronise.
    which = (slice(None),) if squares.is_cuda else columns.nonzero(as_tuple=True)
    some, by, side = squares[which], columns[which], squares.shape[-1]
    source = torch.arange(side, device=columns.device) + by[:, None]
    inside = (source >= 0) & (source < side)
    index = source.clamp(0, side - 1)[:, None, :].expand_as(some)
    squares[which] = some.gather(-1, index) * inside[:, None, :]


def default_patch_side(size: tuple[int, int, int]) -> int:
    """Odd patch side for a working volume of this size, in the proportion of the paper.

    The paper cuts 101 voxels from 324 x 207 x 279: 0.38 of the geometric mean of the sides.

    >>> default_patch_side((324, 207, 279))
    101
    """
    mean_side = math.exp(sum(map(math.log, size)) / 3)
    return 2 * round((0.38 * mean_side - 1) / 2) + 1

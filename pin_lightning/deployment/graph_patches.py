"""Patches inside an exported graph: blocks of voxels, interpolated by matrix products."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch.nn import functional

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.patches import BorderedVolumes
from pin_lightning.method.pyramid import Pyramid

BLOCK = 16  # voxels that are looked up at once
Whole: TypeAlias = Int[Tensor, "N L 3"]
Fraction: TypeAlias = Float[Tensor, "N L 3"]


@dataclass(frozen=True, eq=False)
class BlockedRows:
    """All rows of volumes along one axis, each padded with zeros to whole blocks.

    Attributes:
        blocks: The blocks of all rows, one row after another.
        per_row: Blocks of a row.
    """

    blocks: Num[Tensor, "M block"]
    per_row: int

    def cut(
        self, row: Int[Tensor, "*N rows"], first: Int[Tensor, "*N"], length: int
    ) -> tuple[Float[Tensor, "*N rows voxels"], Int[Tensor, "*N"]]:
        """Cut pieces of rows, blocks that hold ``length`` voxels from the first on.

        Returns:
            The pieces, and the place of the first voxel in them; it and others may lie outside.
        """
        count = _blocks_of(length)
        block = (first.float() / BLOCK).floor().long().clamp(0, self.per_row - count)
        begin = row * self.per_row + block[..., None]
        index = begin[..., None] + torch.arange(count, device=row.device)
        pieces = self.blocks.index_select(0, index.flatten()).view(*row.shape, count * BLOCK)
        return pieces.float(), first - BLOCK * block


@dataclass(frozen=True, eq=False)
class BlockedVolumes(BorderedVolumes):
    """Volumes laid out for `cut_blocks`, too.

    Attributes:
        along_z: Rows by volume, x and y.
        along_y: Rows by volume, x and z.
    """

    along_z: BlockedRows
    along_y: BlockedRows


def blocked(pyramid: Pyramid, side: int) -> Pyramid:
    """Lay out all levels of a pyramid for patches of P voxels by `cut_blocks`."""
    return Pyramid(tuple(_blocked(level, side) for level in pyramid.levels), pyramid.grids)


def _blocked(bordered: BorderedVolumes, side: int) -> BlockedVolumes:
    both = []
    for rows in (bordered.voxels, bordered.voxels.transpose(2, 3)):
        length = rows.shape[-1]
        count = max(math.ceil(length / BLOCK), _blocks_of(side + 1))
        padded = functional.pad(rows, [0, count * BLOCK - length])
        both.append(BlockedRows(padded.reshape(-1, BLOCK), count))
    return BlockedVolumes(bordered.buffer, bordered.shape, *both)


def _blocks_of(length: int) -> int:
    """Blocks that hold a row of voxels wherever in a block it begins.

    >>> _blocks_of(1), _blocks_of(2), _blocks_of(26)
    (1, 2, 3)
    """
    return math.ceil((length + BLOCK - 1) / BLOCK)


def cut_blocks(
    level: BlockedVolumes,
    volume_index: Int[Tensor, " N"],
    centres_mm: Float[Tensor, "N L 3"],
    grid: Grid,
    side: int,
    interpolation: str,
) -> Float[Tensor, "N C P P"]:
    """Cut the patches that `cut_straight` cuts, by operations that ONNX has and is fast at.

    A patch is ``A R B``: R are pieces of rows, of the two planes beside the centre where it is
    interpolated; B takes the patch's part of them and interpolates along the rows; A interpolates
    between planes and rows.
    """
    centres = grid.mm_to_ijk(centres_mm) + 1  # +1: skip the border
    linear = interpolation == "linear"
    low = torch.floor(centres if linear else centres + 0.5)
    fraction = centres - low
    whole, planes = low.long(), 1 + int(linear)
    length, first = side + planes - 1, whole - side // 2
    rows_z, rows_y = _rows(level.shape, volume_index, whole, first, planes, length)
    pieces_z, at_z = level.along_z.cut(rows_z, first[..., 2], length)
    pieces_y, at_y = level.along_y.cut(rows_y, first[..., 1], length)
    z, y = (fraction[..., 2], fraction[..., 1]) if linear else (None, None)
    yz_xz = pieces_z @ _along(at_z, z, pieces_z.shape[-1], side)
    xy = pieces_y @ _along(at_y, y, pieces_y.shape[-1], side)
    squares = torch.cat([yz_xz, xy], dim=2).unflatten(2, (3, -1))
    if linear:
        squares = (_between(fraction, side) @ squares).round()
    return squares.flatten(1, 2)


def _rows(
    shape: tuple[int, int, int, int],
    volume_index: Int[Tensor, " N"],
    whole: Whole,
    first: Whole,
    planes: int,
    length: int,
) -> tuple[Int[Tensor, "N L rows2"], Int[Tensor, "N L rows1"]]:
    """Rows along z of the planes yz and xz, and along y of the planes xy, by plane and line."""
    _, size_x, size_y, size_z = shape
    # Positions beyond the border are clamped onto it, where the volume is zero.
    x, y, z = (
        _from(one, planes, size)[..., None]
        for one, size in zip(whole.unbind(2), shape[1:], strict=True)
    )
    line_x, line_y = (
        _from(first[..., axis], length, shape[1 + axis])[..., None, :] for axis in (0, 1)
    )
    first_x = (volume_index * size_x)[:, None, None, None]
    yz = (first_x + x) * size_y + line_y
    xz = (first_x + line_x) * size_y + y
    xy = (first_x + line_x) * size_z + z
    return torch.cat([yz.flatten(2), xz.flatten(2)], dim=2), xy.flatten(2)


def _from(first: Int[Tensor, "N L"], count: int, size: int) -> Int[Tensor, "N L count"]:
    """Indices of ``count`` voxels in a row, clamped to an axis of ``size``."""
    return (first[..., None] + torch.arange(count, device=first.device)).clamp(0, size - 1)


def _along(
    first: Int[Tensor, "N L"], fraction: Float[Tensor, "N L"] | None, voxels: int, side: int
) -> Float[Tensor, "N L voxels P"]:
    """Weight of each voxel of a row in each of P places from ``first + fraction`` on."""
    ahead = torch.arange(voxels, device=first.device)[:, None]
    ahead = ahead - torch.arange(side, device=first.device)
    begin = first[..., None, None]
    if fraction is None:
        return (ahead == begin).float()
    return (1 - (ahead.float() - begin.float() - fraction[..., None, None]).abs()).relu()


def _between(fraction: Fraction, side: int) -> Float[Tensor, "N L 3 P rows"]:
    """Weight of each row of two planes in each row of the patches yz, xz and xy."""
    x, y, _ = fraction.unbind(2)
    across = torch.stack([1 - fraction, fraction], dim=-1)
    down = torch.stack([y, x, x], dim=2)
    down = torch.stack([1 - down, down], dim=-1)
    weights = (across[..., :, None] * down[..., None, :]).flatten(-2)
    rows = torch.eye(side + 1, device=fraction.device)
    this, following = rows[:-1], rows[1:]
    none = torch.zeros_like(this)
    pairs = ((this, none), (following, none), (none, this), (none, following))
    places = torch.stack([torch.cat(pair, dim=1) for pair in pairs])
    return (weights @ places.flatten(1)).unflatten(-1, (side, -1))

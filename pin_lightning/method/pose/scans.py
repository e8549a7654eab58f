"""Whole scans at coarse spacings, and patches cut from them along the axes of a pose."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from pin_lightning.common.types import Float, Int, Num, Tensor, UInt8
from pin_lightning.method.pose.rigid import Poses

Patches = UInt8[Tensor, "N L C P P"]


@dataclass(frozen=True, eq=False)
class Scans:
    """Scans of any sizes at one spacing, in one buffer, each with a border of zeros.

    The border is wider than any patch, so that a voxel of a patch is found by adding an offset to
    the index of its centre.

    Attributes:
        buffer: All voxels.
        first: Index of each scan's first voxel, border included.
        size: Voxels of each scan along its axes, border included.
        spacing_mm: Voxel side.
        border: Width of the border in voxels.
    """

    buffer: UInt8[Tensor, " M"]
    first: Int[Tensor, " V"]
    size: Int[Tensor, "V 3"]
    spacing_mm: float
    border: int

    @classmethod
    def of(
        cls, volumes: Sequence[UInt8[Tensor, "_ _ _"]], spacing_mm: float, border: int
    ) -> "Scans":
        """Lay out scans."""
        padded = [functional.pad(one, 6 * [border]) for one in volumes]
        count = torch.tensor([0, *(one.numel() for one in padded)])
        size = torch.tensor([list(one.shape) for one in padded])
        buffer = torch.cat([one.flatten() for one in padded])
        return cls(buffer, count.cumsum(0)[:-1], size, spacing_mm, border)

    def to(self, device: torch.device) -> "Scans":
        """Copy to a device."""
        buffer, first, size = (one.to(device) for one in (self.buffer, self.first, self.size))
        return Scans(buffer, first, size, self.spacing_mm, self.border)

    def nearest(
        self, index: Int[Tensor, " N"], points_mm: Float[Tensor, "N L 3"]
    ) -> Int[Tensor, "N L 3"]:
        """Voxels closest to points, for points outside a scan just beyond its edge."""
        size = self.size[index][:, None]
        centre = (size - 1).to(points_mm.dtype) / 2
        found = torch.floor(points_mm / self.spacing_mm + centre + 0.5).long()
        edge = self.border - 1
        return torch.maximum(torch.minimum(found, size - 1 - edge), torch.full_like(found, edge))

    def voxel_mm(
        self, index: Int[Tensor, " N"], voxels: Int[Tensor, "N L 3"]
    ) -> Float[Tensor, "N L 3"]:
        """Centres of voxels, in mm from the centre of their scan."""
        centre = (self.size[index][:, None] - 1).float() / 2
        return (voxels.float() - centre) * self.spacing_mm


@dataclass(frozen=True, eq=False)
class Box:
    """Parts of N scans, in mm from their centres, along their axes: what lies outside is 0."""

    low_mm: Float[Tensor, "N 3"]
    high_mm: Float[Tensor, "N 3"]

    def take(self, which: slice, device: torch.device) -> "Box":
        """Some of the parts, on a device."""
        return Box(self.low_mm[which].to(device), self.high_mm[which].to(device))


def border_of(side: int, scale: float) -> int:
    """Border that holds half a patch in any orientation, enlarged by a scale of its pose."""
    return 1 + math.ceil(side // 2 * math.sqrt(2) * scale + 0.5) + 1


def planes(side: int) -> Float[Tensor, "3 P P 3"]:
    """Positions in voxels of the planes yz, xz and xy of a patch, relative to its centre."""
    line = torch.arange(side).float() - side // 2
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    none = torch.zeros_like(rows)
    stacked = ((none, rows, columns), (rows, none, columns), (rows, columns, none))
    return torch.stack([torch.stack(one, dim=-1) for one in stacked])


def cut_posed(
    scans: Scans,
    index: Int[Tensor, " N"],
    poses: Poses,
    voxels: Int[Tensor, "N L 3"],
    pattern: Float[Tensor, "3 P P 3"],
) -> UInt8[Tensor, "N L 3 P P"]:
    """Cut patches along the axes of poses, each voxel the nearest one of the scan.

    Args:
        scans: The scans.
        index: Scan of each pose.
        poses: Poses; their shifts play no role.
        voxels: Centres, from `Scans.nearest`.
        pattern: Positions of the voxels, from `planes`.
    """
    strides = _strides(scans.size[index])
    offsets = torch.einsum("nij,pabj->npabi", poses.linear, pattern)
    reach = scans.border - 1
    whole = torch.floor(offsets + 0.5).long().clamp(-reach, reach)
    steps = (whole * strides[:, None, None, None]).sum(-1)
    centres = scans.first[index][:, None] + (voxels * strides[:, None]).sum(-1)
    at = centres[:, :, None, None, None] + steps[:, None]
    return scans.buffer.index_select(0, at.flatten()).view(at.shape)


def _seen(
    patches: UInt8[Tensor, "N L 3 P P"],
    scans: Scans,
    poses: Poses,
    centres_mm: Float[Tensor, "N L 3"],
    pattern: Float[Tensor, "3 P P 3"],
    box: Box,
) -> UInt8[Tensor, "N L 3 P P"]:
    """Patches with zeros outside a box."""
    patches = patches.clone()
    offsets_mm = scans.spacing_mm * torch.einsum("nij,pabj->npabi", poses.linear, pattern)
    for sign, bound in ((1, box.low_mm), (-1, box.high_mm)):
        for sample, axis in torch.isfinite(bound).nonzero().tolist():  # few are cut
            at = centres_mm[sample, :, None, None, None, axis] + offsets_mm[sample, ..., axis]
            patches[sample] *= sign * at >= sign * bound[sample, axis]
    return patches


def _strides(size: Int[Tensor, "N 3"]) -> Int[Tensor, "N 3"]:
    _, y, z = size.unbind(1)
    return torch.stack([y * z, z, torch.ones_like(z)], dim=1)


def cut_levels_posed(
    levels: Sequence[Scans],
    index: Int[Tensor, " N"],
    poses: Poses,
    points_mm: Num[Tensor, "N L 3"],
    pattern: Float[Tensor, "3 P P 3"],
    box: Box | None = None,
) -> tuple[UInt8[Tensor, "N L C P P"], Float[Tensor, "N L 3"]]:
    """Cut patches at landmarks from all levels.

    Args:
        levels: The scans at each spacing.
        index: Scan of each pose.
        poses: Poses.
        points_mm: Landmarks.
        pattern: Positions of the voxels of a patch, from `planes`.
        box: Part of each scan that is seen; None is all of it.

    Returns:
        The patches, channels ordered by level, then plane; and the centres of those of the first
        level, which lie at voxels: displacements count from there.
    """
    patches, centres_mm = [], points_mm
    for number, scans in enumerate(levels):
        voxels = scans.nearest(index, points_mm)
        cut = cut_posed(scans, index, poses, voxels, pattern)
        if box is not None:
            cut = _seen(cut, scans, poses, scans.voxel_mm(index, voxels), pattern, box)
        patches.append(cut)
        if number == 0:
            centres_mm = scans.voxel_mm(index, voxels)
    return torch.cat(patches, dim=2), centres_mm

"""Image pyramid: volumes at several spacings, and 2.5D patches cut from all of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.patches import BorderedVolumes, add_border, cut_patches

Centres: TypeAlias = Float[Tensor, "N L 3"]
Patches: TypeAlias = Num[Tensor, "N C P P"]
# Cuts patches from one level of a pyramid, as `cut_straight` does.
Cut: TypeAlias = Callable[..., Patches]


def check_spacings(spacings: Sequence[int]) -> tuple[int, ...]:
    """Check the spacings of patches in voxels and return them.

    Raises:
        ValueError: They are not whole, positive and all different, or there is none.
    """
    found = tuple(spacings)
    whole = all(isinstance(one, int) and one >= 1 for one in found)
    if not found or not whole or len(set(found)) < len(found):
        raise ValueError(
            f"model.patch_spacings={list(found)}: give different whole numbers of voxels, "
            "for example [1,3]"
        )
    return found


@dataclass(frozen=True, eq=False)
class Pyramid:
    """The same volumes at several spacings.

    Attributes:
        levels: Volumes with their border, one for each spacing.
        grids: The working grid of each.
    """

    levels: tuple[BorderedVolumes, ...]
    grids: tuple[Grid, ...]

    def to(self, device: torch.device) -> "Pyramid":
        """Copy to a device."""
        return Pyramid(tuple(level.to(device) for level in self.levels), self.grids)


def build_pyramid(volumes: Num[Tensor, "V X Y Z"], grid: Grid, spacings: Sequence[int]) -> Pyramid:
    """Build the levels of a pyramid.

    Args:
        volumes: On the grid, any dtype.
        grid: Their working grid.
        spacings: Spacing of each level, in voxels of that grid.
    """
    levels = tuple(add_border(coarser(volumes, factor)) for factor in spacings)
    return Pyramid(levels, tuple(coarser_grid(grid, factor) for factor in spacings))


def coarser_grid(grid: Grid, factor: int) -> Grid:
    """Grid of larger voxels with the same centre that covers a grid.

    >>> coarser_grid(Grid((9, 10, 11), 0.5), 3)
    Grid(size=(3, 4, 4), spacing_mm=1.5)
    """
    return Grid(coarser_size(grid.size, factor), grid.spacing_mm * factor)


def coarser_size(size: tuple[int, int, int], factor: int) -> tuple[int, int, int]:
    """Voxels of `coarser_grid` along each axis."""
    x, y, z = (math.ceil(side / factor) for side in size)
    return x, y, z


def coarser(volumes: Num[Tensor, "V X Y Z"], factor: int) -> Num[Tensor, "V X2 Y2 Z2"]:
    """Resample volumes on `coarser_grid` after the Gaussian of `preprocessing.antialias`.

    Volumes count as zero outside, as in patches, and keep their dtype.
    """
    if factor == 1:
        return volumes
    smooth = volumes.float()
    for _ in range(3):  # resample the first axis of a volume, then make it the last
        weights = _weights(smooth.shape[1], factor).to(volumes.device)
        lines = torch.matmul(weights, smooth.flatten(2))
        smooth = lines.unflatten(2, smooth.shape[2:]).movedim(1, -1)
    return smooth if volumes.is_floating_point() else smooth.round().to(volumes.dtype)


def _weights(size: int, factor: int) -> Float[Tensor, "X2 X"]:
    """Weight of each voxel of a line in each voxel of the coarser line."""
    sigma = math.sqrt((factor**2 - 1) / (8 * math.log(2)))
    coarse, margin = math.ceil(size / factor), math.ceil(6 * sigma) + factor
    centres = (size - 1) / 2 + factor * (torch.arange(coarse) - (coarse - 1) / 2)
    voxels = torch.arange(-margin, size + margin)
    weights = torch.exp(-0.5 * ((voxels - centres[:, None]) / sigma).double().square())
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights[:, margin : margin + size].float()


def cut_straight(
    level: BorderedVolumes,
    volume_index: Int[Tensor, " N"],
    centres_mm: Centres,
    grid: Grid,
    side: int,
    interpolation: str,
) -> Patches:
    """Cut patches along the axes of the volumes (`cut_patches`), centres in grid mm."""
    return cut_patches(level, volume_index, grid.mm_to_ijk(centres_mm), side, interpolation)


def cut_levels(
    pyramid: Pyramid,
    volume_index: Int[Tensor, " N"],
    centres_mm: Centres,
    side: int,
    interpolation: str,
    cut: Cut = cut_straight,
) -> list[Patches]:
    """Cut the patches of each level.

    Args:
        pyramid: Volumes.
        volume_index: Volume that each of the N sets of landmarks lies in.
        centres_mm: Patch centres, grid mm.
        side: Patch side P in voxels of each level, odd.
        interpolation: ``nearest`` or ``linear``.
        cut: Called for each level like `cut_straight`; augmentation gives another.
    """
    return [
        cut(level, volume_index, centres_mm, grid=grid, side=side, interpolation=interpolation)
        for level, grid in zip(pyramid.levels, pyramid.grids, strict=True)
    ]


def merge_levels(levels: Sequence[Num[Tensor, "N _ P P"]]) -> Num[Tensor, "N C P P"]:
    """Join the channels of all levels, ordered by landmark, then level, then plane.

    >>> levels = [torch.arange(6.0).view(1, 6, 1, 1) + 10 * level for level in (0, 1)]
    >>> merge_levels(levels).flatten().tolist()
    [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 3.0, 4.0, 5.0, 13.0, 14.0, 15.0]
    """
    if len(levels) == 1:
        return levels[0]
    return torch.stack([one.unflatten(1, (-1, 3)) for one in levels], dim=2).flatten(1, 3)

"""Augmented whole volumes: the same maps and changes of intensity as of patches."""

import torch
from torch import nn

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.patches import BorderedVolumes
from pin_lightning.training.augmentation.intensity import (
    SHARPEST,
    Intensity,
    change_pointwise,
    quadratic_forms,
)
from pin_lightning.training.augmentation.warped_patches import look_up_linear
from pin_lightning.training.augmentation.warps import Warp


def warped_volumes(
    bordered: BorderedVolumes, volume_index: Int[Tensor, " N"], warp: Warp | None, grid: Grid
) -> Num[Tensor, "N X Y Z"]:
    """Resample volumes through maps, by trilinear interpolation in the original volumes.

    The voxel at p is the original volume at ``warp.to_original(p)``.

    Args:
        bordered: Original volumes from `add_border`.
        volume_index: Volume of each of the N samples.
        warp: Maps of the samples; None leaves the volumes as they are.
        grid: Grid of the volumes.

    Returns:
        Volumes on the grid in the dtype of the original ones; zero outside these.
    """
    if warp is None:
        return bordered.voxels[volume_index][:, 1:-1, 1:-1, 1:-1]
    made = bordered.buffer.new_empty((len(volume_index), *grid.size))
    for sample in range(len(volume_index)):
        positions = list(_original_ijk(warp[sample : sample + 1], grid).unbind(-1))
        volumes = volume_index[sample].expand(grid.size[0])  # of each plane across x
        made[sample] = look_up_linear(bordered, volumes, positions)
    return made


def _original_ijk(warp: Warp, grid: Grid) -> Float[Tensor, "X Y Z 3"]:
    """Voxel of the original volume, with its border, of each voxel of one augmented volume."""
    x, y, z = _axes_mm(grid, warp.linear.device)
    if warp.elastic is None:
        linear, shift_mm = warp.linear[0].T, warp.shift_mm[0]
        at_mm = (x[:, None] * linear[0])[:, None, None] + (y[:, None] * linear[1])[:, None]
        return grid.mm_to_ijk(at_mm + z[:, None] * linear[2] + shift_mm) + 1
    # `weights` takes as many coordinates along each axis.
    padded = nn.utils.rnn.pad_sequence([x, y, z], batch_first=True)
    weights = [
        one[:side] for one, side in zip(warp.elastic.weights(padded), grid.size, strict=True)
    ]
    moved_mm = torch.einsum("xa,yb,zc,abcd->xyzd", *weights, warp.elastic.control_mm[0])
    moved_mm = moved_mm + torch.stack(torch.meshgrid(x, y, z, indexing="ij"), dim=-1)
    original_mm = (moved_mm[..., None, :] * warp.linear[0]).sum(-1) + warp.shift_mm[0]
    return grid.mm_to_ijk(original_mm) + 1


def change_volumes(
    volumes: Num[Tensor, "N X Y Z"],
    intensity: Intensity,
    grid: Grid,
    working_grid: Grid,
    generator: torch.Generator,
    shard: Shard = WHOLE,
) -> Num[Tensor, "N X Y Z"]:
    """Change the intensities, 0 to 255, of whole volumes as `change_intensity` does of patches.

    The blur is along all three axes. Zeros, as outside the volume, stay zero. Of several processes
    each draws the noise of all samples, in the order of a single process.

    Args:
        volumes: Augmented volumes.
        intensity: Changes of the samples.
        grid: Grid of the volumes.
        working_grid: Working grid, in whose voxels a blur is given.
        generator: Source of the noise.
        shard: This process's part of the samples; each process has N.

    Returns:
        New volumes in the dtype of the given ones.
    """
    changed = torch.empty_like(volumes)
    for place in range(len(volumes) * shard.count):
        normal = None
        if intensity.noise is not None:
            shape = (1, *volumes.shape[1:])
            normal = torch.randn(shape, generator=generator, device=volumes.device)
        if place % shard.count != shard.rank:
            continue
        own = slice(place // shard.count, place // shard.count + 1)
        some, spacing = intensity[own], grid.spacing_mm / working_grid.spacing_mm
        values = _blurred(volumes[own].float(), some, spacing)
        there = values > 0
        axes_mm = _axes_mm(grid, volumes.device)
        if some.dark is not None:
            apart = [some.dark.normal[0, axis] * one for axis, one in enumerate(axes_mm)]
            there &= _sum_of_axes(*apart) <= some.dark.distance_mm[0]
        factor = some.gain[:, None, None, None]
        if some.bias is not None:
            factor = factor * _bias(some.bias, axes_mm, working_grid)
        values = change_pointwise(values, factor, some, normal) * there
        changed[own] = values if volumes.is_floating_point() else values.round_()
    return changed


def _blurred(
    values: Float[Tensor, "1 X Y Z"], some: Intensity, spacing: float
) -> Float[Tensor, "1 X Y Z"]:
    """Blur by matrix products, with kernels normalised at the edges."""
    if some.blur is None:
        return values
    for _ in range(3):  # blur the first axis of the volume, then make it the last
        steps = torch.arange(values.shape[1], device=values.device) * spacing
        distance = (steps[:, None] - steps) / some.blur.clamp(min=SHARPEST)
        kernel = torch.exp(-0.5 * distance.square())
        kernel = kernel / kernel.sum(dim=-1, keepdim=True)
        values = torch.matmul(kernel, values.flatten(2)).unflatten(2, values.shape[2:])
        values = values.movedim(1, -1)
    return values


def _bias(
    bias: Float[Tensor, "1 9"], axes_mm: list[Tensor], working_grid: Grid
) -> Float[Tensor, "1 X Y Z"]:
    """Factor ``exp(q A q + b q)`` at the position q of each voxel, -1 to 1 between the faces."""
    q = [2 * one / side for one, side in zip(axes_mm, working_grid.extent_mm, strict=True)]
    linear, square = bias[0, :3], quadratic_forms(bias[:, 3:])[0]
    own = [linear[i] * q[i] + square[i, i] * q[i].square() for i in range(3)]
    x, y, z = q[0][:, None, None], q[1][:, None], q[2]
    crossed = square[0, 1] * x * y + square[0, 2] * x * z + square[1, 2] * y * z
    return (_sum_of_axes(*own) + 2 * crossed).exp()[None]


def _sum_of_axes(
    x: Float[Tensor, " X"], y: Float[Tensor, " Y"], z: Float[Tensor, " Z"]
) -> Float[Tensor, "X Y Z"]:
    return x[:, None, None] + y[:, None] + z


def _axes_mm(grid: Grid, device: torch.device) -> list[Tensor]:
    """Coordinates of the voxels along each axis, grid mm."""
    sides = [torch.arange(side, device=device, dtype=torch.float32) for side in grid.size]
    return [(one - (len(one) - 1) / 2) * grid.spacing_mm for one in sides]

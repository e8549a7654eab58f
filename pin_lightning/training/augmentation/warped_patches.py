"""2.5D patches of augmented volumes, cut from the original ones without warping a volume."""

import math
from collections.abc import Callable, Iterator

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Integer, Num, Tensor
from pin_lightning.method.patches import BorderedVolumes, check_interpolation, check_patch_side
from pin_lightning.training.augmentation.warps import Warp, times

# Axes along which rows and columns are numbered, of the planes yz, xz, xy.
ROW_AXES, COLUMN_AXES = [1, 0, 0], [2, 2, 1]
BLOCK = 1 << 18  # voxels that a CPU cuts at once: they stay in its cache


def cut_warped_patches(
    bordered: BorderedVolumes,
    volume_index: Int[Tensor, " N"],
    centres_mm: Float[Tensor, "N L 3"],
    warp: Warp,
    grid: Grid,
    side: int,
    interpolation: str = "nearest",
    spacing_voxels: float = 1.0,
) -> Num[Tensor, "N C P P"]:
    """Cut patches as `cut_patches` would from warped volumes.

    A voxel of a patch at p is the voxel of the original volume at ``warp.to_original(p)``, exactly.

    Args:
        bordered: Original volumes from `add_border`.
        volume_index: Volume of each of the N samples.
        centres_mm: Patch centres in the augmented volume, grid mm.
        warp: Maps of the samples.
        grid: Working grid of the volumes.
        side: Patch side P in voxels, odd.
        interpolation: ``nearest`` or ``linear``, in the original volume.
        spacing_voxels: Distance of a patch's voxels, in voxels of the volume.

    Returns:
        Patches in the dtype of the volumes, ordered like those of `cut_patches`. Zero outside the
        original volume.

    Raises:
        ValueError: The side is not odd, or the interpolation is unknown.
    """
    check_patch_side(side)
    check_interpolation(interpolation)
    steps_mm = torch.arange(side, device=centres_mm.device) - side // 2
    steps_mm = steps_mm * (spacing_voxels * grid.spacing_mm)
    positions = _planes(warp, centres_mm, steps_mm, grid)
    look_up = _nearest if interpolation == "nearest" else look_up_linear
    number, landmarks = centres_mm.shape[:2]
    patches = bordered.buffer.new_empty(number * landmarks * 3, side, side)
    volumes = volume_index.repeat_interleave(3 * landmarks, output_size=len(patches))
    for block in blocks(len(patches), side * side, patches.device):
        patches[block] = look_up(bordered, volumes[block], positions(block))
    return patches.view(number, landmarks * 3, side, side)


def blocks(count: int, voxels_each: int, device: torch.device) -> Iterator[slice]:
    """Split `count` patches or samples into blocks for the CPU's cache; one block on a GPU."""
    size = max(BLOCK // voxels_each, 1) if device.type == "cpu" else max(count, 1)
    return (slice(begin, begin + size) for begin in range(0, count, size))


def _planes(
    warp: Warp, centres_mm: Float[Tensor, "N L 3"], steps_mm: Float[Tensor, " P"], grid: Grid
) -> Callable[[slice], list[Float[Tensor, "m P P"]]]:
    """Make the function that gives voxel indices x, y and z, with the border, of some patches.

    Those of M = 3 N L patches are ``rows + columns + left @ right``: rows and columns [M, 3, P] by
    the map's affine part; the elastic displacement in voxels of each row for each control point
    along a column [M, 3, P, G], and the weights of these at each column [M, G, P].
    """
    landmarks = centres_mm.shape[1]
    linear = warp.linear / grid.spacing_mm  # to voxels
    shift = grid.mm_to_ijk(warp.shift_mm) + 1  # +1: the border
    centres = times(linear, centres_mm) + shift[:, None]
    by_step = linear.mT[..., None] * steps_mm  # [N, axis that is stepped along, 3, P]
    rows = (centres[:, :, None, :, None] + by_step[:, None, ROW_AXES]).flatten(0, 2)
    columns = by_step[:, None, COLUMN_AXES].expand(-1, landmarks, -1, -1, -1).flatten(0, 2)
    elastic = None if warp.elastic is None else _elastic(warp, centres_mm, steps_mm, grid)

    def positions(block: slice) -> list[Float[Tensor, "m P P"]]:
        found = []
        for axis in range(3):
            position = rows[block, axis, :, None] + columns[block, axis, None, :]
            if elastic is not None:
                left, right = elastic
                position.baddbmm_(left[block, axis], right[block])
            found.append(position)
        return found

    return positions


def _elastic(
    warp: Warp, centres_mm: Float[Tensor, "N L 3"], steps_mm: Float[Tensor, " P"], grid: Grid
) -> tuple[Float[Tensor, "M 3 P G"], Float[Tensor, "M G P"]]:
    """Displacements of the voxels of every patch, as factors of a matrix product.

    The planes lie along the axes of the lattice. So the spline is summed across each plane and
    along its rows here, and along its columns in `_planes`.
    """
    elastic = warp.elastic
    assert elastic is not None
    control = elastic.control_mm @ (warp.linear / grid.spacing_mm).mT[:, None, None]
    across = elastic.weights(centres_mm[..., None]).squeeze(3)
    orders = ((0, 1, 4, 2, 3), (0, 2, 4, 1, 3), (0, 3, 4, 1, 2))  # across, 3, rows, columns
    flat = [
        across[:, :, plane] @ control.permute(order).flatten(2)
        for plane, order in enumerate(orders)
    ]
    side = control.shape[1]
    lattices = torch.stack(flat, dim=2).flatten(0, 2).unflatten(1, (3, side, side))
    along = elastic.weights(centres_mm[..., None] + steps_mm)
    left = along[:, :, ROW_AXES].flatten(0, 2)[:, None] @ lattices
    return left, along[:, :, COLUMN_AXES].flatten(0, 2).mT


def _nearest(
    bordered: BorderedVolumes, volumes: Int[Tensor, " m"], positions: list[Float[Tensor, "m P P"]]
) -> Num[Tensor, "m P P"]:
    whole = [
        position.add_(0.5).clamp_(0, size - 0.5)
        for position, size in zip(positions, bordered.shape[1:], strict=True)
    ]
    index = _index(bordered, volumes, whole)
    return bordered.buffer.index_select(0, index.flatten()).view_as(index)


def look_up_linear(
    bordered: BorderedVolumes, volumes: Int[Tensor, " m"], positions: list[Float[Tensor, "m P Q"]]
) -> Num[Tensor, "m P Q"]:
    """Look up voxels trilinearly: eight voxels, blended along z, y and x.

    Args:
        bordered: Volumes from `add_border`.
        volumes: Volume of each of the m planes.
        positions: Voxel indices x, y and z, with the border; overwritten.

    Returns:
        Values in the dtype of the volumes; zero outside.
    """
    low, fraction = [], []
    for position, size in zip(positions, bordered.shape[1:], strict=True):
        position.clamp_(0, size - 1)
        low.append(position.floor().clamp_(max=size - 2))
        fraction.append(position.sub_(low[-1]))
    index = _index(bordered, volumes, low).flatten()
    x, y, z = fraction
    _, _, size_y, size_z = bordered.shape

    def voxels(offset: int) -> Float[Tensor, "m P Q"]:
        return bordered.buffer[offset:].index_select(0, index).view(x.shape).float()

    def row(offset: int) -> Float[Tensor, "m P Q"]:
        return torch.lerp(voxels(offset), voxels(offset + 1), z)

    def square(offset: int) -> Float[Tensor, "m P Q"]:
        return torch.lerp(row(offset), row(offset + size_z), y)

    blended = torch.lerp(square(0), square(size_y * size_z), x)
    dtype = bordered.buffer.dtype
    return (blended if dtype.is_floating_point else blended.round_()).to(dtype)


def _index(
    bordered: BorderedVolumes, volumes: Int[Tensor, " m"], whole: list[Float[Tensor, "m P Q"]]
) -> Integer[Tensor, "m P Q"]:
    """Place in the buffer of each voxel, whose indices are truncated to whole numbers."""
    _, _, size_y, size_z = bordered.shape
    # Half the memory, where numbers are small enough.
    dtype = torch.int32 if len(bordered.buffer) < 2**31 else torch.int64
    x, y, z = (position.to(dtype) for position in whole)
    first = (volumes * math.prod(bordered.shape[1:])).to(dtype)[:, None, None]
    return x.mul_(size_y).add_(y).mul_(size_z).add_(z).add_(first)

"""Starts of the pose search: rotations, and places that cover the scan."""

import math

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from pin_lightning.common.types import Float, Tensor, UInt8
from pin_lightning.method.pose.rigid import Poses, angles
from pin_lightning.method.pose.scans import Scans

STEP = 0.6  # distance of places, a share of the extent: within reach of training shifts
MOST_PLACES = 400  # of one scan; a larger field of view has them farther apart
FAINT = 0.25  # share of the brightest surroundings below which a place is background
GROUPS = {24: "O", 60: "I"}  # rotations of the cube, and of the icosahedron


def start_rotations(kind: str, number: int = 24) -> Float[Tensor, "R 3 3"]:
    """Rotations of the starts: those of the cube or the icosahedron, or none where upright."""
    if kind == "upright":
        return torch.eye(3)[None]
    return torch.from_numpy(Rotation.create_group(GROUPS[number]).as_matrix()).float()


def start_poses(
    coarse: Scans, extent_mm: float, breadth_mm: float, rotations: Float[Tensor, "R 3 3"]
) -> Poses:
    """Starts in one scan: every rotation at every place.

    Places are the centre of what is not background, then points of a grid over the positions that
    the anatomy's centre can have, without those whose surroundings are background.

    Args:
        coarse: The scan at a coarse spacing, alone.
        extent_mm: Largest extent of the anatomy.
        breadth_mm: Middle one of its extents along x, y and z: so much lies in the scan.
        rotations: Rotations of the starts.
    """
    volume = _voxels(coarse)
    brightness = _surroundings(volume, 0.5 * extent_mm / coarse.spacing_mm)
    places = torch.cat(
        [_centre_of_mass(volume), _grid(volume.shape, coarse, extent_mm, breadth_mm)]
    )
    half = (torch.tensor(volume.shape) - 1) / 2
    at = (places + half).round().long()
    at = torch.minimum(at.clamp(min=0), torch.tensor(volume.shape) - 1)
    bright = brightness[at[:, 0], at[:, 1], at[:, 2]]
    bright[0] = torch.inf  # the centre is always tried
    places = places[bright >= FAINT * brightness.max()] * coarse.spacing_mm
    linear = rotations.repeat(len(places), 1, 1)
    return Poses(linear, places.repeat_interleave(len(rotations), 0))


def _voxels(scan: Scans) -> UInt8[Tensor, "X Y Z"]:
    border = scan.border
    x, y, z = scan.size[0].tolist()
    inner = (slice(border, -border),) * 3
    return scan.buffer.view(x, y, z)[inner]


def _surroundings(volume: UInt8[Tensor, "X Y Z"], radius: float) -> Float[Tensor, "X Y Z"]:
    """Mean intensity of the cube around each voxel, 0 outside the scan."""
    mean = volume.float()
    reach = max(1, round(radius))
    for axis, size in enumerate(volume.shape):
        total = torch.nn.functional.pad(mean.movedim(axis, -1).cumsum(-1), (1, 0))
        line = torch.arange(size, device=volume.device)
        last, first = (line + reach + 1).clamp(max=size), (line - reach).clamp(min=0)
        mean = ((total[..., last] - total[..., first]) / (2 * reach + 1)).movedim(-1, axis)
    return mean


def _centre_of_mass(volume: UInt8[Tensor, "X Y Z"]) -> Float[Tensor, "1 3"]:
    """Centre of the intensity, in voxels from the centre of the scan."""
    weight = volume.float()
    total = weight.sum().clamp(min=1.0)
    centre = []
    for axis, size in enumerate(volume.shape):
        others = [one for one in range(3) if one != axis]
        line = torch.arange(size, device=volume.device) - (size - 1) / 2
        centre.append((weight.sum(others) * line).sum() / total)
    return torch.stack(centre)[None]


def _grid(
    shape: torch.Size, coarse: Scans, extent_mm: float, breadth_mm: float
) -> Float[Tensor, "M 3"]:
    """Grid of places in voxels from the centre; none where the scan is hardly larger."""
    free_mm = np.maximum(np.array(shape) * coarse.spacing_mm - breadth_mm, 0.0)
    step_mm = STEP * extent_mm
    while True:
        counts = [2 * math.floor(free / 2 / step_mm + 0.5) + 1 for free in free_mm.tolist()]
        if math.prod(counts) <= MOST_PLACES:
            break
        step_mm *= 1.1
    lines = [(torch.arange(one) - one // 2) * (step_mm / coarse.spacing_mm) for one in counts]
    return torch.cartesian_prod(*lines).to(coarse.buffer.device)


def distinct(poses: Poses, order: Tensor, angle: float, apart_mm: float, most: int) -> Tensor:
    """Indices of the first poses in an order that differ from all earlier ones that were chosen.

    Args:
        poses: Poses.
        order: Their indices, the best first.
        angle: Rotation in radians from which poses differ.
        apart_mm: Shift from which poses differ.
        most: Number of indices at most.
    """
    rest, chosen = order, list[Tensor]()
    while len(rest) and len(chosen) < most:
        best = rest[0]
        chosen.append(best)
        turned = angles(poses.linear[rest], poses.linear[best].expand(len(rest), -1, -1)) > angle
        shifted = (poses.shift_mm[rest] - poses.shift_mm[best]).norm(dim=1) > apart_mm
        rest = rest[turned | shifted]
    return torch.stack(chosen)

"""Scans on which the file of a pose stage is compared with PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Num
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.common.types import Tensor, UInt8
from pin_lightning.data.scan_levels import scan_levels
from pin_lightning.deployment.volumes import Volumes
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.rigid import Poses
from pin_lightning.method.pose.starts import start_poses, start_rotations

Levels: TypeAlias = tuple[UInt8[Tensor, "_ _ _"], ...]
WIDER = 1.4  # sides of a made scan, as multiples of those of a working volume
TURN_DEGREES = (25.0, -40.0, 70.0)  # of the second scan, about x, y and z
MOST_STARTS = 96
STEPS = 3  # of the search from there


@dataclass(frozen=True, eq=False)
class Asked:
    """A scan, and poses at which a step of the search is compared.

    Attributes:
        levels: The scan at each spacing.
        poses: Poses: starts, and those of the steps from them.
    """

    levels: Levels
    poses: Poses


def made_scans(volumes: Volumes, spacing_mm: float, spacings_mm: Sequence[float]) -> list[Levels]:
    """Scans made from working volumes: the first in a larger field of view, the second turned."""
    first, second = volumes[0], volumes[min(1, len(volumes) - 1)]
    turn = Rotation.from_euler("xyz", TURN_DEGREES, degrees=True).as_matrix()
    pairs = ((first, np.eye(3)), (second, turn))
    to_world = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    return [
        scan_levels(turned(volume.numpy(), matrix), to_world, (0.0, 255.0), spacings_mm).levels
        for volume, matrix in pairs
    ]


def turned(
    volume: Num[np.ndarray, "X Y Z"], rotation: Num[np.ndarray, "3 3"]
) -> Num[np.ndarray, "X2 Y2 Z2"]:
    """Volume turned about its centre, in a field of view wider by `WIDER`, with zeros around."""
    size = [round(WIDER * side) for side in volume.shape]
    half, new_half = ((np.array(shape) - 1) / 2 for shape in (volume.shape, size))
    offset = half - rotation.T @ new_half
    return ndimage.affine_transform(volume, rotation.T, offset, tuple(size), order=1)


@torch.no_grad()
def asked(finder: PoseFinder, levels: Levels) -> Asked:
    """Poses that the search of a finder comes through in a scan: starts, and some steps on."""
    scans = finder.scans([[level] for level in levels])
    sides = np.ptp(finder.mean_mm_.numpy(), axis=0)
    rotations = start_rotations(finder.rotations, finder.num_rotations)
    starts = start_poses(scans[-1], finder.extent_mm, float(sides.min()), rotations)
    every = max(1, -(-len(starts.linear) // MOST_STARTS))
    passed = [starts.take(slice(None, None, every))]
    for _ in range(STEPS):
        passed.append(finder.iterate(scans, passed[-1], 1)[0])
    linear = torch.cat([one.linear for one in passed])
    return Asked(levels, Poses(linear, torch.cat([one.shift_mm for one in passed])))

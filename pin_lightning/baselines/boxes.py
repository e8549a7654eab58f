"""Boxes of voxels around positions in volumes, and the steps by which agents move."""

import torch

from pin_lightning.common.types import Int, Num, Tensor

ACTIONS = 6


def action_steps() -> Int[Tensor, "A 3"]:
    """Step in voxels of each action: ``2 a`` along axis a, ``2 a + 1`` against it."""
    steps = torch.eye(3, dtype=torch.long)
    return torch.stack([steps, -steps], dim=1).flatten(0, 1)


def bordered(volumes: Num[Tensor, "V X Y Z"], side: int) -> Num[Tensor, "V X2 Y2 Z2"]:
    """Volumes with zeros around them, so that the box of any voxel lies inside."""
    return torch.nn.functional.pad(volumes, [side // 2] * 6)


def cut_boxes(
    volumes: Num[Tensor, "V X Y Z"], positions_ijk: Int[Tensor, "V S 3"], side: int
) -> Num[Tensor, "N side side side"]:
    """Boxes around voxels: those of the first volume, then those of the second, ...

    Args:
        volumes: From `bordered`.
        positions_ijk: Voxels of each volume, without the border.
        side: Side of the box, odd.
    """
    return torch.stack(
        [
            volume[x : x + side, y : y + side, z : z + side]
            for volume, positions in zip(volumes, positions_ijk.tolist(), strict=True)
            for x, y, z in positions
        ]
    )

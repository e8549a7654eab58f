"""Parts of a volume that a sample does not see, as where the scan's field of view ends."""

import math
from dataclasses import dataclass

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Bool, Float, Tensor
from pin_lightning.training.augmentation.warped_patches import COLUMN_AXES, ROW_AXES

DEEPEST = 0.5  # share of the volume's extent across the plane that is dark at most


@dataclass(frozen=True, eq=False)
class DarkSide:
    """A plane in each of N augmented volumes, beyond which all is dark.

    Attributes:
        normal: Its unit normal, towards the dark side.
        distance_mm: Its distance from the middle of the grid; infinite where nothing is dark.
    """

    normal: Float[Tensor, "N 3"]
    distance_mm: Float[Tensor, " N"]

    @classmethod
    def draw(
        cls, count: int, probability: float, grid: Grid, generator: torch.Generator
    ) -> "DarkSide":
        """Draw planes of any direction, that cut away up to half of the volume.

        Args:
            count: Number of samples N.
            probability: Share of the samples in which something is dark.
            grid: Grid of the volumes.
            generator: Source of the draws; its device is that of the planes.
        """
        device = generator.device
        normal = torch.randn(count, 3, generator=generator, device=device)
        normal = normal / normal.norm(dim=1, keepdim=True)
        depth, chance = torch.rand(2, count, generator=generator, device=device)
        half_mm = torch.tensor(grid.extent_mm, device=device) / 2
        reach_mm = (normal.abs() * half_mm).sum(dim=1)
        distance_mm = reach_mm * (1 - 2 * DEEPEST * depth)
        return cls(normal, torch.where(chance < probability, distance_mm, math.inf))

    def __getitem__(self, samples: slice) -> "DarkSide":
        return DarkSide(self.normal[samples], self.distance_mm[samples])

    def sees(
        self, centres_mm: Float[Tensor, "N L 3"], steps_mm: Float[Tensor, " P"]
    ) -> Bool[Tensor, "N C P P"]:
        """Tell which voxels of the patches at some centres are not dark, ordered as patches are.

        Along the axes of a plane the distance changes by a term of the rows and one of the columns.
        """
        beyond_mm = (centres_mm * self.normal[:, None]).sum(-1) - self.distance_mm[:, None]
        along = self.normal[..., None] * steps_mm
        rows = beyond_mm[:, :, None, None] + along[:, None, ROW_AXES]
        columns = along[:, None, COLUMN_AXES]
        return (rows[..., None] + columns[..., None, :] <= 0).flatten(1, 2)

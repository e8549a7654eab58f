"""Training samples of systems beside PIN: whole volumes with their landmarks, augmented."""

import math

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Tensor
from pin_lightning.method.pyramid import Pyramid
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.augmentation.whole_volumes import change_volumes, warped_volumes
from pin_lightning.training.samples.drawing import SampleDrawing

VOLUMES_PER_STEP = 2


class WholeVolumeSampler(SampleDrawing):
    """Draw augmented volumes at one spacing.

    Args:
        grid: Working grid.
        factor: Spacing of the samples, in its voxels.
        augmentation: Augmentation of volumes and landmarks.
        seed: Seed of the draws.
    """

    def __init__(self, grid: Grid, factor: int, augmentation: Augmentation, seed: int) -> None:
        super().__init__(grid, augmentation, seed, (factor,))

    @property
    def default_batch_size(self) -> int:
        """Two volumes."""
        return VOLUMES_PER_STEP

    def samples(
        self,
        pyramid: Pyramid,
        volume_index: Int[Tensor, " N"],
        landmarks_mm: Float[Tensor, "N L 3"],
    ) -> dict[str, Tensor]:
        """Draw N augmented volumes, and make those of this process, as `SampleDrawing` says.

        Returns:
            ``volumes`` [n, X, Y, Z], 0 to 255, and ``landmarks_mm`` [n, L, 3], NaN where missing.
        """
        augmentation, count, own = self.augmentation, len(volume_index), self.shard.rows
        (level,), (grid,) = pyramid.levels, pyramid.grids
        warp = augmentation.draw_warp(count, self.grid, self.generator)
        if warp is not None:
            known = augmentation.exchange_sides(warp, torch.isfinite(landmarks_mm))
            placed = torch.nan_to_num(landmarks_mm)  # a NaN would keep the inverse from converging
            placed = augmentation.move_landmarks(warp, placed)
            landmarks_mm = torch.where(known, placed, math.nan)
        intensity = augmentation.draw_intensity(count, self.grid, self.generator)
        moved = None if warp is None else warp[own]
        volumes = warped_volumes(level, volume_index[own], moved, grid)
        if intensity is not None:
            settings = (intensity[own], grid, self.grid, self.generator, self.shard)
            volumes = change_volumes(volumes, *settings)
        return {"volumes": volumes, "landmarks_mm": landmarks_mm[own]}

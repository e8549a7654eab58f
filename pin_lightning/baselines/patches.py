"""2.5D patches as network input: those of PIN, wherever a system looks."""

from collections.abc import Sequence

import torch

from pin_lightning.baselines.checks import check
from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.networks import patches_to_input
from pin_lightning.method.patches import default_patch_side
from pin_lightning.method.pyramid import Pyramid, build_pyramid, cut_levels, merge_levels


class PatchCutter:
    """Cuts patches at several spacings by linear interpolation.

    Args:
        grid: Grid of the volumes.
        side: Patch side P in voxels of each spacing, odd; None takes `default_patch_side`.
        spacings: Spacings in voxels.

    Raises:
        ValueError: ``patch_side`` or ``patch_spacings`` is wrong.
    """

    def __init__(self, grid: Grid, side: int | None, spacings: Sequence[int]) -> None:
        self.grid = grid
        self.side = default_patch_side(grid.size) if side is None else side
        odd = self.side >= 1 and self.side % 2 == 1
        check("patch_side", side, odd, "an odd number of voxels, or null")
        given = list(spacings)
        right = 1 <= len(given) == len(set(given)) and min(given) >= 1
        check("patch_spacings", given, right, "different whole numbers, such as [1,2]")
        self.spacings = given

    @property
    def channels(self) -> int:
        """Channels C of a patch: three planes at each spacing."""
        return 3 * len(self.spacings)

    def pyramid(self, volumes: Num[Tensor, "V X Y Z"]) -> Pyramid:
        """Resample volumes at the spacings."""
        return build_pyramid(volumes, self.grid, self.spacings)

    def network_input(
        self, pyramid: Pyramid, volume_index: Int[Tensor, " N"], centres_mm: Float[Tensor, "N G 3"]
    ) -> Float[Tensor, "N G C P P"]:
        """Cut patches and scale them to [0, 1].

        Args:
            pyramid: Of `pyramid`.
            volume_index: Volume of each row of patches.
            centres_mm: Centres of G patches in each row, grid mm.

        Returns:
            Patches in the autocast precision.
        """
        levels = cut_levels(pyramid, volume_index, centres_mm, self.side, "linear")
        return patches_to_input(merge_levels(levels)).unflatten(1, (centres_mm.shape[1], -1))


def positions_all_over_mm(
    shape: Sequence[int], grid: Grid, generator: torch.Generator
) -> Float[Tensor, "*shape 3"]:
    """Positions uniform over a volume, grid mm.

    Args:
        shape: Shape of the positions to draw.
        grid: Grid of the volume.
        generator: Source of the draws, on the CPU.
    """
    uniform = torch.rand(*shape, 3, generator=generator)
    return (uniform - 0.5) * torch.tensor(grid.extent_mm)


def positions_around_mm(
    landmarks_mm: Float[Tensor, "*shape 3"], range_mm: tuple[float, float], gen: torch.Generator
) -> Float[Tensor, "*shape 3"]:
    """Positions in random directions from landmarks, one from each, at uniform distances.

    Args:
        landmarks_mm: Landmarks, grid mm; where one is NaN its position is.
        range_mm: Smallest and largest distance.
        gen: Source of the draws, on the CPU.
    """
    direction = torch.randn(landmarks_mm.shape, generator=gen)
    direction = direction / direction.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    least, most = range_mm
    share = torch.rand(*landmarks_mm.shape[:-1], 1, generator=gen)
    return landmarks_mm.cpu() + (least + (most - least) * share) * direction

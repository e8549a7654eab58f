"""Small pose finders, untrained but on the move, and scans for them."""

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.deployment.volumes import synthetic_volumes
from pin_lightning.method.pose.finder import PoseFinder

SPACINGS_MM = (2.0, 5.0)


def small_finder(seed=0, **settings):
    """A finder whose predictions depend on what it sees."""
    torch.manual_seed(seed)
    shape_mm = 12 * torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    finder = PoseFinder(shape_mm, SPACINGS_MM, landmarks=5, patch_side=9, **settings)
    torch.nn.init.normal_(finder.network.heads, std=0.3)
    return finder.eval()


def small_scan(size=(31, 26, 29), seed=0):
    """A scan at both spacings."""
    fine = synthetic_volumes(Grid(size, SPACINGS_MM[0]), 1, seed)[0]
    coarse = tuple(round(side * SPACINGS_MM[0] / SPACINGS_MM[1]) for side in size)
    each = torch.nn.functional.interpolate(fine[None, None].float(), coarse, mode="trilinear")
    return fine, each[0, 0].round().to(torch.uint8)

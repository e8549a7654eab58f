import torch

from pin_lightning.baselines.whole_volume import factor_for, padded
from pin_lightning.common.geometry import Grid

GRID = Grid((30, 24, 20), 2.0)


def test_the_spacing_is_the_finest_that_the_voxels_allow():
    assert factor_for(GRID, 30 * 24 * 20) == 1
    assert factor_for(GRID, 30 * 24 * 20 - 1) == 2
    assert factor_for(GRID, 15 * 12 * 10 - 1) == 3


def test_sides_are_padded_to_multiples_after_their_end():
    volumes = torch.full((1, 5, 4, 9), 255, dtype=torch.uint8)
    found = padded(volumes, 4)
    assert found.shape == (1, 1, 8, 8, 12)
    assert (found[0, 0, :5, :4, :9] == 1).all()
    assert found.sum() == 5 * 4 * 9

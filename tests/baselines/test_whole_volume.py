import pytest
import torch
from torch import nn

from pin_lightning.baselines.base import Problem
from pin_lightning.baselines.heatmap import HeatmapRegression
from pin_lightning.baselines.patch_classification import PatchClassification, ShallowNetwork
from pin_lightning.baselines.whole_volume import factor_for, padded
from pin_lightning.common.geometry import Grid

GRID = Grid((30, 24, 20), 2.0)


def test_the_spacing_is_the_finest_that_the_voxels_allow():
    assert factor_for(GRID, 30 * 24 * 20) == 1
    assert factor_for(GRID, 30 * 24 * 20 - 1) == 2
    assert factor_for(GRID, 15 * 12 * 10 - 1) == 3


def test_sides_are_padded_to_multiples_after_their_end():
    volumes = torch.full((1, 5, 4, 9), 255, dtype=torch.uint8)
    found = padded(volumes, 4, 2)
    assert found.shape == (1, 1, 8, 8, 12)
    assert padded(volumes, 4).shape == (1, 1, 12, 12, 12)
    assert (found[0, 0, :5, :4, :9] == 1).all()
    assert found.sum() == 5 * 4 * 9


@pytest.mark.slow
@pytest.mark.parametrize("system", [HeatmapRegression, PatchClassification])
def test_no_convolution_is_wider_than_its_input(system):
    """Else its gradient in bfloat16 may be whatever was in memory."""
    made, seen = system(Problem(Grid((22, 18, 10), 5.0), 2)), []

    def look(module, inputs, output):
        sides = module.kernel_size
        seen.append(max(a / b for a, b in zip(sides, inputs[0].shape[2:], strict=True)))

    for module in made.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(look)
    volumes = torch.randint(0, 256, (1, *made.input_grid.size), dtype=torch.uint8)
    losses = made.training_loss(volumes, torch.zeros(1, 2, 3), torch.Generator().manual_seed(0))
    assert all(torch.isfinite(one) for one in losses.values())
    assert seen
    assert max(seen) <= 1


def test_a_shallow_network_sees_a_small_volume_as_in_a_large_one():
    torch.manual_seed(0)
    network = ShallowNetwork(2, 9, 4)
    volume = torch.randint(0, 256, (1, 5, 6, 3), dtype=torch.uint8)
    large = nn.functional.pad(volume, (10,) * 6)
    inner = network(large)[..., 10:15, 10:16, 10:13]
    torch.testing.assert_close(network(volume), inner)

import pytest
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.deployment.graph_patches import blocked, cut_blocks
from pin_lightning.method.pyramid import build_pyramid, cut_levels

WAYS = [(side, way) for side in (3, 15, 17) for way in ("nearest", "linear")]


@pytest.mark.parametrize("size", [(20, 33, 47), (3, 4, 5), (9, 31, 16)])
@pytest.mark.parametrize(("side", "way"), WAYS)
def test_the_same_voxels_as_in_pytorch(size, side, way):
    """Within, across the edge, and far outside, at two spacings, to the bit."""
    generator, grid = torch.Generator().manual_seed(0), Grid(size, 0.5)
    volumes = torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)
    pyramid = build_pyramid(volumes, grid, (1, 3))
    index = torch.randint(0, 3, (30,), generator=generator)
    centres_mm = (torch.rand(30, 2, 3, generator=generator) - 0.5) * torch.tensor(grid.extent_mm)
    centres_mm[10:20] *= 2
    centres_mm[0] = 1000.0
    centres_mm[1] = 0.25  # between two voxels
    at = (index, centres_mm, side, way)
    expected = cut_levels(pyramid, *at)
    for one, other in zip(
        expected, cut_levels(blocked(pyramid, side), *at, cut_blocks), strict=True
    ):
        assert torch.equal(one.float(), other)
    assert expected[0].any()


def test_planes_by_hand():
    x, y, z = torch.meshgrid(*3 * [torch.arange(5)], indexing="ij")
    volume, grid = (40 * x + 10 * y + z).to(torch.uint8), Grid((5, 5, 5), 2.0)
    level = blocked(build_pyramid(volume[None], grid, (1,)), 3).levels[0]
    centre_mm = torch.tensor([[[0.0, 0.0, 1.0]]])  # half a voxel up
    cut = cut_blocks(level, torch.tensor([0]), centre_mm, grid, 3, "linear")
    assert cut[0, 0].tolist() == [[92, 92, 94], [102, 102, 104], [112, 112, 114]]  # yz
    assert cut[0, 1].tolist() == [[62, 62, 64], [102, 102, 104], [142, 142, 144]]  # xz
    assert cut[0, 2].tolist() == [[52, 62, 72], [92, 102, 112], [132, 142, 152]]  # xy
    cut = cut_blocks(level, torch.tensor([0]), centre_mm, grid, 3, "nearest")
    assert cut[0, 0].tolist() == [[92, 93, 94], [102, 103, 104], [112, 113, 114]]
    assert cut[0, 2].tolist() == [[53, 63, 73], [93, 103, 113], [133, 143, 153]]

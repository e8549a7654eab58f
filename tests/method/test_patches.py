import numpy as np
import pytest
import torch

from pin_lightning.method.patches import add_border, cut_patches, default_patch_side


def loop_patches(volume, positions, side, sample):
    """Plain NumPy reference: one voxel at a time, through a function (volume, x, y, z) -> value."""
    half = side // 2
    out = np.zeros((len(positions), 3, side, side))
    for n, (x, y, z) in enumerate(positions):
        for r in range(side):
            for c in range(side):
                u, v = r - half, c - half
                out[n, 0, r, c] = sample(volume, x, y + u, z + v)
                out[n, 1, r, c] = sample(volume, x + u, y, z + v)
                out[n, 2, r, c] = sample(volume, x + u, y + v, z)
    return out


def voxel(volume, x, y, z):
    index = tuple(int(np.floor(value + 0.5)) for value in (x, y, z))
    inside = all(0 <= i < size for i, size in zip(index, volume.shape, strict=True))
    return volume[index] if inside else 0.0


def trilinear(volume, x, y, z):
    low = np.floor([x, y, z])
    fraction = np.array([x, y, z]) - low
    total = 0.0
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, fraction, 1 - fraction))
        total += weight * voxel(volume, *(low + corner))
    return total


@pytest.fixture
def volume():
    return np.random.default_rng(0).random((9, 7, 8))


# In the middle, on a border, on a corner, partly outside, entirely outside.
POSITIONS = np.array(
    [[4, 3, 4], [0, 0, 0], [8.4, 6.2, 7.3], [-2.3, 3.7, 9.1], [40, -30, 3], [4.5, 2.5, 3.5]], float
)
ORIGIN = torch.tensor([0]), torch.zeros(1, 1, 3)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("interpolation", "sample"), [("nearest", voxel), ("linear", trilinear)])
@pytest.mark.parametrize("side", [1, 5, 15])
def test_matches_a_plain_loop(volume, interpolation, sample, side, turned):
    bordered = add_border(torch.from_numpy(volume)[None], turned)
    index = torch.zeros(len(POSITIONS), dtype=torch.long)
    positions = torch.from_numpy(POSITIONS).float()[:, None]
    cut = cut_patches(bordered, index, positions, side, interpolation)
    expected = loop_patches(volume, POSITIONS, side, sample)
    np.testing.assert_allclose(cut.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_planes_by_hand(turned):
    x, y, z = torch.meshgrid(*3 * [torch.arange(5)], indexing="ij")
    volume = 100 * x + 10 * y + z
    bordered = add_border(volume[None], turned)
    cut = cut_patches(bordered, torch.tensor([0]), torch.full((1, 1, 3), 2.0), 3)
    assert cut[0, 0].tolist() == [[211, 212, 213], [221, 222, 223], [231, 232, 233]]  # yz
    assert cut[0, 1].tolist() == [[121, 122, 123], [221, 222, 223], [321, 322, 323]]  # xz
    assert cut[0, 2].tolist() == [[112, 122, 132], [212, 222, 232], [312, 322, 332]]  # xy


@pytest.mark.parametrize("turned", [False, True])
def test_channels_are_landmark_major_and_volumes_are_chosen_by_index(volume, turned):
    volumes = torch.stack([torch.from_numpy(volume), torch.from_numpy(volume) + 1])
    positions = torch.tensor([[[4.0, 3, 4], [2.0, 2, 2]]]).repeat(2, 1, 1)
    cut = cut_patches(add_border(volumes, turned), torch.tensor([1, 0]), positions, 3)
    assert cut.shape == (2, 6, 3, 3)
    torch.testing.assert_close(cut[1, :3, 1, 1], torch.full((3,), volume[4, 3, 4]).double())
    torch.testing.assert_close(cut[1, 3:, 1, 1], torch.full((3,), volume[2, 2, 2]).double())
    torch.testing.assert_close(cut[0], cut[1] + 1)


def test_keeps_eight_bits(volume):
    eight_bit = torch.from_numpy((volume * 255).astype(np.uint8))[None]
    index, position = torch.tensor([0]), torch.full((1, 1, 3), 3.5)
    for interpolation in ("nearest", "linear"):
        cut = cut_patches(add_border(eight_bit), index, position, 3, interpolation)
        assert cut.dtype == torch.uint8
    exact = trilinear(eight_bit[0].numpy().astype(float), 3.5, 3.5, 3.5)
    assert abs(cut[0, 0, 1, 1].item() - exact) <= 0.5


@pytest.mark.parametrize("way", [(0,), (-1,), (4,), (3, "cubic")])
def test_refuses_a_side_without_a_centre_and_unknown_interpolation(volume, way):
    with pytest.raises(ValueError, match=f"patch_side={way[0]}" if way[1:] == () else "cubic"):
        cut_patches(add_border(torch.from_numpy(volume)[None]), *ORIGIN, *way)


def test_the_default_side_is_odd():
    assert all(default_patch_side((n, n, n)) % 2 == 1 for n in range(1, 200))

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from pin_lightning.common.geometry import Grid
from pin_lightning.distributed.ranks import Shard
from pin_lightning.training.augmentation.intensity import (
    Intensity,
    IntensitySettings,
    change_intensity,
)

GRID = Grid((61, 51, 41), 0.5)
CENTRE = torch.zeros(1, 1, 3)
EVERYTHING = {"gain_sd": 0.1, "offset_sd": 0.05, "gamma_sd": 0.2}
EVERYTHING |= {"noise_sd": 0.02, "blur_sd_voxels": 0.7, "bias_sd": 0.1}
EVERYTHING |= {"dark_probability": 0.3}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*size, dtype=torch.float32):
    return torch.randint(1, 256, size, generator=generator()).to(dtype)


def values(**given):
    """A change of one sample."""
    neutral = {"gain": 1.0, "offset": 0.0} | given
    return Intensity(**{name: torch.tensor([value]) for name, value in neutral.items()})


def change(patches, intensity, centres_mm=CENTRE):
    return change_intensity(patches, centres_mm, intensity, GRID, generator())


def test_gain_offset_and_gamma_by_hand():
    patches = torch.tensor([51.0, 102, 204]).expand(1, 3, 3, 3)
    found = change(patches, values(gain=1.5, offset=0.1, gamma=2.0))
    # 1.5 (0.2, 0.4, 0.8)^2 + 0.1
    expected = torch.tensor([0.16, 0.34, 1.06]).clamp(max=1) * 255
    torch.testing.assert_close(found, expected.expand(1, 3, 3, 3))


def test_zero_stays_zero_and_nothing_leaves_the_range():
    patches = noise(1, 3, 9, 9)
    patches[..., :4] = 0
    found = change(patches, values(offset=0.3, noise=0.3))
    assert not found[..., :4].any()
    assert found[..., 4:].max() == 255
    dark = change(patches, values(offset=-0.3))
    assert dark.min() == 0


def test_noise_has_its_spread_and_no_mean():
    patches = torch.full((1, 6, 101, 101), 128.0)
    found = change(patches, values(noise=0.05)) - 128
    assert found.std().item() == pytest.approx(0.05 * 255, rel=0.02)
    assert abs(found.mean().item()) < 0.2


@pytest.mark.parametrize("sd", [0.0, 0.6, 1.5])
def test_blur_is_scipys_gaussian(sd):
    """Away from the edges; SciPy's kernel ends at eight SDs."""
    patches = noise(1, 3, 41, 41)
    found = change(patches, values(blur=sd))[0]
    expected = ndimage.gaussian_filter(patches[0].numpy(), (0, sd, sd), truncate=8)
    inner = (slice(None), slice(12, -12), slice(12, -12))
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-2)


def test_blur_does_not_darken_the_edges():
    flat = torch.full((1, 3, 9, 9), 80.0)
    torch.testing.assert_close(change(flat, values(blur=1.5)), flat)


def test_bias_is_one_polynomial_of_position_for_all_planes_and_landmarks():
    terms = 0.1 * torch.randn(1, 9, generator=generator())
    bias = Intensity(torch.ones(1), torch.zeros(1), bias=terms)
    centres_mm = torch.tensor([[[3.0, -2.0, 1.5], [-5.0, 4.0, 0.0]]])
    found = change(torch.full((1, 6, 7, 7), 100.0), bias, centres_mm)[0]
    rows, columns = np.meshgrid(*2 * [np.arange(7) - 3], indexing="ij")
    for channel in range(6):
        steps = np.zeros((7, 7, 3))
        first, second = [(1, 2), (0, 2), (0, 1)][channel % 3]
        steps[..., first], steps[..., second] = rows, columns
        positions = centres_mm[0, channel // 3].numpy() + 0.5 * steps
        x, y, z = np.moveaxis(positions / (np.array(GRID.extent_mm) / 2), -1, 0)
        monomials = np.stack([x, y, z, x * x, y * y, z * z, y * z, x * z, x * y])
        expected = 100 * np.exp(np.tensordot(terms[0].numpy(), monomials, 1))
        np.testing.assert_allclose(found[channel], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_dtype_stays_and_patches_are_left_alone(dtype):
    patches = noise(4, 3, 9, 9, dtype=dtype)
    before = patches.clone()
    drawn = IntensitySettings(**EVERYTHING).draw(4, GRID, generator())
    changed = change(patches, drawn, CENTRE.expand(4, 1, 3))
    assert changed.dtype == dtype
    assert torch.equal(patches, before)
    assert not torch.equal(changed, before)


def test_eight_bits_are_rounded():
    patches = torch.tensor([100, 101], dtype=torch.uint8).repeat(18)[:27].view(1, 3, 3, 3)
    assert set(change(patches, values(gain=1.016)).unique().tolist()) == {102, 103}


def test_all_zero_changes_nothing():
    settings = IntensitySettings()
    assert settings.is_identity
    assert not any(
        IntensitySettings(**{name: value}).is_identity for name, value in EVERYTHING.items()
    )
    patches = noise(2, 3, 9, 9, dtype=torch.uint8)
    same = change(patches, settings.draw(2, GRID, generator()), CENTRE.expand(2, 1, 3))
    assert torch.equal(same, patches)


def test_blocks_do_not_matter(monkeypatch):
    patches, centres_mm = noise(4, 3, 9, 9), CENTRE.expand(4, 1, 3)
    quiet = IntensitySettings(**EVERYTHING | {"noise_sd": 0.0}).draw(4, GRID, generator())
    whole = change(patches, quiet, centres_mm)
    monkeypatch.setattr("pin_lightning.training.augmentation.warped_patches.BLOCK", 1)
    torch.testing.assert_close(change(patches, quiet, centres_mm), whole)


@pytest.mark.parametrize("block", [1, 2, 3, 8])  # samples that are worked on at once
def test_noise_is_that_of_one_process_whoever_draws_it(monkeypatch, block):
    monkeypatch.setattr(
        "pin_lightning.training.augmentation.warped_patches.BLOCK", block * 3 * 9 * 9
    )
    patches, centres_mm = noise(6, 3, 9, 9), CENTRE.expand(6, 1, 3)
    drawn = IntensitySettings(gain_sd=0.1, noise_sd=0.1).draw(6, GRID, generator())
    source = generator(1)
    whole = change_intensity(patches, centres_mm, drawn, GRID, source)
    for rank in range(3):
        shard, own = Shard(rank, 3), generator(1)
        rows = shard.rows
        part = change_intensity(
            patches[rows], centres_mm[rows], drawn[rows], GRID, own, shard=shard
        )
        assert torch.equal(part, whole[rows])
        assert torch.equal(own.get_state(), source.get_state())


def test_draws_have_the_spread_asked_for():
    drawn = IntensitySettings(**EVERYTHING).draw(5000, GRID, generator())
    assert drawn.gain.log().std().item() == pytest.approx(0.1, rel=0.05)
    assert drawn.offset.std().item() == pytest.approx(0.05, rel=0.05)
    assert drawn.gamma.log().std().item() == pytest.approx(0.2, rel=0.05)
    assert drawn.noise.square().mean().sqrt().item() == pytest.approx(0.02, rel=0.05)
    assert drawn.blur.square().mean().sqrt().item() == pytest.approx(0.7, rel=0.05)
    assert drawn.bias.std(dim=0).numpy() == pytest.approx(9 * [0.1], rel=0.05)
    assert drawn.noise.min() >= 0
    assert drawn.blur.min() >= 0


@pytest.mark.parametrize("setting", EVERYTHING)
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_bad_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=rf"augmentation\.{setting}={value}: give a number"):
        IntensitySettings(**{setting: value})

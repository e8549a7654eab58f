import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from pin_lightning.data.intensity_windows import percentile_window, rescale, robust_window

SIDE = 48


def uniform(shape=(20, 20, 20), seed=0):
    return np.random.default_rng(seed).uniform(0, 100, shape).astype(np.float32)


def head_ct(air=-1000):
    """A head in Hounsfield units: noisy air, skin, bone of varied density, brain."""
    rng = np.random.default_rng(1)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 3, indexing="ij")
    r = np.sqrt((x / 0.65) ** 2 + (y / 0.8) ** 2 + (z / 0.7) ** 2)
    voxels = np.where(r < 1, 40.0, air)
    bone = (r < 0.93) & (r > 0.8)
    voxels[bone] = rng.normal(900, 300, bone.sum()).clip(300, 1800)
    voxels = ndimage.gaussian_filter(voxels, 0.6) + rng.normal(0, 15, voxels.shape)
    return voxels.round().astype(np.int16)


def micro_ct():
    """Air that is 0 in most of the volume, dark soft tissue, and bone ten times as bright."""
    rng = np.random.default_rng(2)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 3, indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    voxels = np.where(r < 0.7, rng.normal(10, 2, r.shape), 0)
    bone = (r < 0.5) & (r > 0.44)
    voxels[bone] = rng.normal(90, 25, bone.sum())
    return ndimage.gaussian_filter(voxels, 0.5).clip(0, 255).round().astype(np.uint8)


IMAGES = {"head_ct": head_ct(), "micro_ct": micro_ct(), "uniform": (uniform() + 5).round()}


def padded(voxels, value, times):
    """Add a border until the volume is so many times as large."""
    more = [int(np.ceil(side * (times ** (1 / 3) - 1) / 2)) for side in voxels.shape]
    return np.pad(voxels.astype(np.float32), [(one, one) for one in more], constant_values=value)


def with_metal(voxels, share):
    """Make a share of the voxels 5 to 15 times as bright as almost all the others."""
    rng, metal = np.random.default_rng(0), voxels.astype(np.float32)
    low, top = float(voxels.min()), float(np.percentile(voxels, 99.9))
    chosen = rng.choice(voxels.size, int(share * voxels.size), replace=False)
    metal.flat[chosen] = low + (top - low) * rng.uniform(5, 15, len(chosen))
    return metal.round()


def with_saturated_metal(voxels, share, times):
    """Give a share of the voxels one value, so many times as bright as the brightest."""
    metal = voxels.astype(np.float32)
    chosen = np.random.default_rng(0).choice(voxels.size, int(share * voxels.size), replace=False)
    metal.flat[chosen] = metal.min() + times * np.ptp(metal)
    return metal.round()


DISTURBED = {
    "half as much again of zeros": lambda one: padded(one, 0, 1.5),
    "padding": lambda one: padded(one, -3024, 1.3),
    "padding of the least number": lambda one: padded(one, -32768, 1.3),
    "much padding": lambda one: padded(one, -1024, 5),
    "white padding": lambda one: padded(one, 32767, 2),
    "two paddings": lambda one: padded(padded(one, 0, 1.5), -3024, 1.5),
    "three paddings": lambda one: padded(padded(padded(one, 0, 1.5), -3024, 1.5), -32768, 1.3),
    "metal": lambda one: with_metal(one, 0.01),
    "more metal": lambda one: with_metal(one, 0.03),
    "a hot pixel": lambda one: with_saturated_metal(one, 1.5 / one.size, 100),
    "a little metal": lambda one: with_saturated_metal(one, 0.0004, 5),
    "a little noisy metal": lambda one: with_metal(one, 0.0005),
    "saturated metal": lambda one: with_saturated_metal(one, 0.03, 10),
    "saturated metal hardly brighter": lambda one: with_saturated_metal(one, 0.01, 1.3),
    "padding and metal": lambda one: padded(with_metal(one, 0.01), -3024, 2),
    "other axes": lambda one: one.transpose(2, 0, 1)[::-1],
}


def change(voxels, window, other):
    """The 99th percentile of the change of grey values, as a share of the range."""
    inside = voxels[(voxels > window[0]) & (voxels < window[1])].astype(float)
    before, after = (np.clip((inside - low) / (high - low), 0, 1) for low, high in (window, other))
    return np.percentile(np.abs(before - after), 99)


def test_percentiles_ignore_outliers_and_background():
    voxels = uniform()
    voxels[0, 0, 0] = 1e6
    low, high = percentile_window(voxels)
    assert 0 < low < 2
    assert 98 < high < 100
    mostly_empty = np.zeros((10, 10, 10), np.float32)
    mostly_empty[0] = np.linspace(100, 200, 100).reshape(10, 10)
    assert percentile_window(mostly_empty) == (pytest.approx(100.5), pytest.approx(199.5))
    mask = np.zeros((10, 10, 10), np.uint8)
    mask[2, 2, 2] = 7
    assert percentile_window(mask) == percentile_window(7 - mask) == (0, 7)


def test_the_robust_window_by_hand():
    """Of 0 to 999, 5 are darker than 4; up to x there is about (x / 1000)^2 of the signal."""
    voxels = np.random.default_rng(0).permutation(1000).reshape(10, 10, 10)
    low, high = robust_window(voxels)
    assert low == 4
    signal = np.maximum(np.arange(1000) - 4, 0)
    assert signal[: int(high) + 1].sum() >= 0.97 * signal.sum() > signal[: int(high)].sum()
    assert high == pytest.approx(4 + 995 * np.sqrt(0.97), abs=1)
    assert robust_window(voxels * 100.0 - 7000) == (100 * low - 7000, 100 * high - 7000)


@pytest.mark.parametrize("disturbance", DISTURBED)
@pytest.mark.parametrize("name", IMAGES)
def test_padding_and_metal_hardly_change_the_robust_window(name, disturbance):
    voxels = IMAGES[name]
    disturbed = robust_window(DISTURBED[disturbance](voxels))
    assert change(voxels, robust_window(voxels), disturbed) < 0.03


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", IMAGES)
def test_a_part_cut_away_changes_it_little(name, axis):
    voxels, window = IMAGES[name], robust_window(IMAGES[name])
    for kept in np.split(voxels, [voxels.shape[axis] // 4], axis)[1:]:
        assert change(voxels, window, robust_window(kept)) < 0.08


def test_what_resampling_mixed_with_padding_does_not_count():
    voxels = head_ct()
    turned = ndimage.rotate(padded(voxels, -3024, 1.4), 17, (0, 1), order=1, cval=-3024)
    assert change(voxels, robust_window(voxels), robust_window(turned.round())) < 0.03


def test_bone_is_not_metal():
    low, high = robust_window(micro_ct())
    assert low < 8
    assert 90 < high < 180


def test_tissue_in_noise_is_not_metal():
    noisy = np.random.default_rng(0).normal(-1000, 15, (60, 60, 60)).round()
    noisy[:25, :25, :25] = head_ct()[12:37, 12:37, 12:37]  # 7 % of the volume
    assert robust_window(noisy)[1] > 500


@pytest.mark.parametrize(
    ("levels", "window"),
    [
        ([0, 7], (0, 7)),
        ([0, 1, 2], (0, 2)),
        ([-1024, 0, 1], (0, 1)),
        ([0, 1, 100], (0, 100)),
        ([-1, 1], (-1, 1)),
    ],
)
def test_masks_keep_all_their_values_but_padding(levels, window):
    voxels = np.zeros((6, 6, 6), np.int16) + levels[0]
    for index, level in enumerate(levels[1:]):
        voxels[1 + index, 1:4, 1:4] = level
    assert robust_window(voxels) == window


def test_a_large_volume_is_looked_at_in_part():
    voxels = np.random.default_rng(0).integers(0, 1000, (130, 130, 130), dtype=np.int16)
    assert robust_window(voxels) == pytest.approx(robust_window(voxels[::2, ::2, ::2]), abs=10)
    assert robust_window(voxels) == pytest.approx(robust_window(voxels.transpose(1, 2, 0)), abs=10)


def test_real_scans_keep_their_window():
    folder = os.environ.get("PIN_CT_DATA")
    if folder is None:
        pytest.skip("PIN_CT_DATA names no folder of real CT")
    for path in sorted(Path(folder, "images").iterdir())[:3]:
        voxels = np.asanyarray(nib.load(path).dataobj)
        window = robust_window(voxels)
        for name, disturbed in DISTURBED.items():
            assert change(voxels, window, robust_window(disturbed(voxels))) < 0.03, name


@pytest.mark.parametrize("times", [1e300, -1e300, 1e-310, 1e-40])
def test_values_of_any_size_become_the_same_grey(times):
    """As far as float64 holds them: the smallest have few digits."""
    voxels = head_ct()[::4, ::4, ::4].astype(np.float64)
    low, high = robust_window(voxels)
    window = (low * times, high * times) if times > 0 else (high * times, low * times)
    grey = rescale(voxels * times, *window)
    expected = rescale(voxels, low, high)
    np.testing.assert_allclose(grey, expected if times > 0 else 255 - expected, atol=1e-2)


def test_an_offset_costs_no_grey_values():
    voxels = np.arange(256, dtype=np.int32).reshape(16, 4, 4)
    for moved in (voxels + 2_000_000_000, voxels + 1e9):
        low, high = float(moved.min()), float(moved.max())
        np.testing.assert_allclose(rescale(moved, low, high), voxels, atol=1e-5)
    bytes_ = voxels.astype(np.uint8)
    by_hand = (bytes_.astype(np.float32) - np.float32(20)) * np.float32(255 / 160)
    np.testing.assert_array_equal(rescale(bytes_, 20, 180), by_hand.clip(0, 255))


def test_the_whole_range_of_float64_is_a_window():
    voxels = np.array([[[-1.7e308, 0, 1.7e308]]])
    np.testing.assert_allclose(rescale(voxels, -1.7e308, 1.7e308), [[[0, 127.5, 255]]])

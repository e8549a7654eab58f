import os
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nibabel.affines import apply_affine
from refusals import refused
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import Grid, grid_affine
from pin_lightning.data.cases import Case
from pin_lightning.data.intensity_windows import WINDOWS
from pin_lightning.data.preprocessing import (
    antialias,
    preprocess,
    read_image,
    resample,
    rescale,
    suggest_grid,
)
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.volume_cache import cache_volumes, load_volume


def oblique_affine(sides: tuple[float, float, float], shape: tuple[int, ...]) -> np.ndarray:
    """Image axes near posterior, inferior, right; its centre at the world's origin."""
    affine = np.eye(4)
    axes = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]) * sides
    affine[:3, :3] = Rotation.from_euler("xyz", [10, 20, -10], degrees=True).as_matrix() @ axes
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def cached_volume(path, grid, cache_dir):
    files, failures = cache_volumes([Case("one", path, None, None, "one")], grid, cache_dir)
    assert failures == {}
    return files["one"]


def save(path, voxels, affine=None):
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def random_image(seed=0, shape=(9, 8, 7)):
    return np.random.default_rng(seed).uniform(0, 100, shape).astype(np.float32)


def test_resampling_agrees_with_scipy(tmp_path):
    affine = oblique_affine((2.0, 1.5, 1.8), (9, 8, 7))
    voxels = random_image()
    grid = Grid((20, 22, 18), 0.9)  # finer than the image, and larger: no smoothing, a border
    volume = preprocess(save(tmp_path / "image.nii", voxels, affine), grid)
    ijk = np.stack(np.meshgrid(*map(np.arange, grid.size), indexing="ij"), axis=-1)
    source = apply_affine(np.linalg.inv(affine) @ volume.affine, ijk)
    scaled = rescale(voxels, *np.percentile(voxels, [0.5, 99.5]).tolist())
    expected = ndimage.map_coordinates(
        scaled, np.moveaxis(source, -1, 0), order=1, mode="nearest", output=float
    )
    past_the_face = np.max(np.abs(source - [4, 3.5, 3]) - np.array([9, 8, 7]) / 2, axis=-1)
    expected[past_the_face > 0] = 0
    certain = np.abs(past_the_face) > 1e-3
    assert (past_the_face > 0).any()
    difference = np.abs(volume.intensity.numpy() - expected)[certain]
    assert difference.max() <= 0.51  # rounding to whole grey levels


def test_grid_that_is_the_image_gives_the_voxels_back(tmp_path):
    voxels = np.arange(256, dtype=np.uint8)[:, None, None] * np.ones((1, 3, 4), np.uint8)
    path = save(tmp_path / "image.nii", voxels)
    volume = preprocess(path, Grid((256, 3, 4), 1.0))
    assert volume.intensity.dtype == torch.uint8
    np.testing.assert_array_equal(volume.affine, np.eye(4))
    low, high = np.percentile(voxels, [0.5, 99.5])
    expected = np.clip((np.arange(256) - low) * 255 / (high - low), 0, 255).round()
    np.testing.assert_array_equal(volume.intensity[:, 1, 2], expected)


def test_outside_the_image_is_its_darkest_even_if_that_is_negative(tmp_path):
    voxels = random_image() - 1000
    volume = preprocess(save(tmp_path / "ct.nii", voxels), Grid((19, 8, 7), 1.0))
    assert volume.intensity[:5].max() == 0
    assert volume.intensity[-5:].max() == 0
    expected = rescale(voxels, *np.percentile(voxels, [0.5, 99.5]).tolist())
    assert np.abs(volume.intensity[5:14].numpy() - expected).max() < 0.51


def test_rescale_by_hand():
    voxels = np.array([[[-5, 0, 5, 10, 40]]], dtype=np.int16)
    np.testing.assert_allclose(rescale(voxels, 0.0, 10.0), [[[0, 0, 127.5, 255, 255]]])
    assert voxels.tolist() == [[[-5, 0, 5, 10, 40]]]


def test_antialias_has_the_width_of_the_point_spread_along_the_fine_axis_only():
    impulse = np.zeros((41, 5, 3), np.float32)
    impulse[20, 2, 1] = 1000
    profile = antialias(impulse, np.array([1.0, 3.0, 4.0]), 3.0)[:, 2, 1]
    assert profile.sum() == pytest.approx(1000, rel=1e-4)  # nothing leaks to the coarse axes
    offsets = np.arange(41) - 20
    assert (profile * offsets).sum() == pytest.approx(0, abs=1e-3)
    full_widths = (profile * offsets**2).sum() / 1000 * 8 * np.log(2)
    assert full_widths == pytest.approx(3**2 - 1**2, rel=0.01)  # widths add in squares


def test_a_pattern_finer_than_the_grid_fades_instead_of_aliasing(tmp_path):
    voxels = np.zeros((64, 16, 16), np.float32)
    voxels[::2] = 100
    volume = preprocess(save(tmp_path / "stripes.nii", voxels), Grid((12, 4, 4), 5.0))
    inside = volume.intensity[1:-1].float()
    assert inside.std() < 3
    assert inside.mean() == pytest.approx(127.5, abs=5)


def test_suggested_grid_by_hand():
    small = ((100, 50, 40), np.diag([0.5, 0.5, 0.5, 1]))
    # 60 x 120 x 20 mm once reordered: its first axis is world y.
    turned = ((60, 30, 10), np.array([[0, 0, 2, 0], [-2, 0, 0, 0], [0, -2, 0, 0], [0, 0, 0, 1.0]]))
    assert suggest_grid([small]) == Grid((100, 50, 40), 0.5)
    # The longest extent, 120 mm / 160 = 0.75 mm; the median of the finest sides is 1.25 mm -> 1.2.
    assert suggest_grid([small, turned]) == Grid((42, 100, 50), 1.2)
    assert suggest_grid([small, turned], spacing_mm=2) == Grid((25, 60, 30), 2.0)
    assert suggest_grid([small, turned], size=(7, 8, 9)) == Grid((7, 8, 9), 1.2)
    assert suggest_grid([small], 0.1, (1, 2, 3)) == Grid((1, 2, 3), 0.1)

    # 300 mm / 160 = 1.875 mm.
    long = ((512, 512, 300), np.diag([0.3, 0.3, 1.0, 1]))
    assert suggest_grid([long]) == Grid((81, 81, 158), 1.9)


def test_suggested_grid_refuses_nothing_and_nonsense():
    header = ((10, 10, 10), np.eye(4))
    with pytest.raises(ValueError, match=r"data\.root"):
        suggest_grid([])
    with pytest.raises(ValueError, match=r"data\.spacing_mm=0"):
        suggest_grid([header], spacing_mm=0)
    with pytest.raises(ValueError, match=r"data\.grid_size=\[5, 5\]"):
        suggest_grid([header], size=(5, 5))


def test_voxels_without_contrast_or_number_are_refused(tmp_path):
    for value, others, message in [
        (5.0, np.full((9, 8, 7), 5.0), "all voxels are 5"),
        (np.nan, random_image(), "NaN or infinite"),
        (np.inf, random_image(), "NaN or infinite"),
    ]:
        others[3, 3, 3] = value
        path = save(tmp_path / "a.nii", others)
        with refused(path, message):
            preprocess(path, Grid((8, 8, 8), 1.0))


def test_cached_volume_is_what_preprocess_gives(tmp_path):
    affine = oblique_affine((0.15, 0.15, 0.15), (30, 30, 30))
    affine[:3, 3] += [120, -80, 40]
    path = save(tmp_path / "case.nii.gz", random_image(shape=(30, 30, 30)), affine)
    grid = Grid((25, 24, 23), 0.19)
    volume, cached = preprocess(path, grid), cached_volume(path, grid, tmp_path / "new" / "cache")
    assert load_volume(cached).facts == volume.facts
    load_volume(cached).intensity.zero_()  # changes no file
    again = load_volume(cached)
    assert cached.name.startswith("case_")
    assert torch.equal(again.intensity, volume.intensity)
    assert again.grid == grid
    np.testing.assert_allclose(again.affine, grid_affine(affine, (30, 30, 30), grid), atol=1e-4)
    assert [file.name for file in cached.parent.iterdir()] == [cached.name]
    as_itk_sees_it = sitk.GetArrayFromImage(sitk.ReadImage(str(cached))).T
    np.testing.assert_array_equal(as_itk_sees_it, volume.intensity)


def test_cache_is_used_again_until_image_or_grid_change(tmp_path):
    path = save(tmp_path / "case.nii", random_image())
    grid, cache = Grid((9, 8, 7), 1.0), tmp_path / "cache"
    first = cached_volume(path, grid, cache)
    kept = first.read_bytes()[:-1] + b"\x07"  # another voxel tells it from one made anew
    first.write_bytes(kept)
    assert cached_volume(path, grid, cache).read_bytes() == kept
    first.write_bytes(kept[:-1])  # damaged: made anew
    assert load_volume(cached_volume(path, grid, cache)).intensity.max() > 0
    assert cached_volume(path, Grid((9, 8, 7), 1.5), cache) != first
    assert cached_volume(path, Grid((9, 8, 6), 1.0), cache) != first
    os.utime(path, ns=(1, 1))
    assert cached_volume(path, grid, cache) != first
    assert len(list(cache.iterdir())) == 4
    # An image of the same name, size and time in another folder.
    (tmp_path / "other").mkdir()
    other = save(tmp_path / "other" / "case.nii", random_image(1))
    os.utime(other, ns=(1, 1))
    assert cached_volume(other, grid, cache) != cached_volume(path, grid, cache)


def test_another_rule_of_the_window_has_another_file(tmp_path):
    padded = np.pad(random_image(shape=(12, 12, 12)), 1, constant_values=-3024)
    case = Case("one", save(tmp_path / "one.nii", padded), None, None, "one")
    grid, found = Grid((14, 14, 14), 1.0), {}
    for rule in WINDOWS:
        files, _ = cache_volumes([case], grid, tmp_path / "cache", window=rule)
        found[rule] = load_volume(files["one"])
        assert load_volume(cache_volumes([case], grid, tmp_path / "cache", None, rule)[0]["one"])
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert found["percentiles"].facts.low == -3024
    assert found["robust"].facts.low > 0
    grey = found["robust"].intensity.numpy()
    assert grey[:1].max() == 0  # padding is black, and does not bleed into the anatomy
    expected = rescale(padded, found["robust"].facts.low, found["robust"].facts.high)
    assert np.abs(grey - expected).max() < 0.51


def test_cache_volumes_is_silent_and_gives_files_by_name(tmp_path, capfd):
    cases = [
        Case(name, save(tmp_path / f"{name}.nii", random_image(seed)), None, None, name)
        for seed, name in enumerate("ab")
    ]
    bad = tmp_path / "bad.nii"
    bad.write_text("no image")
    cases.insert(1, Case("bad", bad, None, None, "bad"))
    files, failures = cache_volumes(cases, Grid((9, 8, 7), 1.0), tmp_path / "cache")
    assert list(files) == ["a", "b"]
    assert list(failures) == ["bad"]
    assert str(bad) in failures["bad"]
    assert not torch.equal(*(load_volume(file).intensity for file in files.values()))
    assert capfd.readouterr() == ("", "")


SHARING = """
import sys
from pathlib import Path
from pin_lightning.common.geometry import Grid
from pin_lightning.data import volume_cache
from pin_lightning.data.cases import Case
made, preprocess = [], volume_cache.preprocess
def counting(*arguments):
    made.append(arguments[0])
    return preprocess(*arguments)
volume_cache.preprocess = counting
cases = [Case(one.stem, one, None, None, one.stem) for one in sorted(Path(sys.argv[1]).iterdir())]
print("ready", flush=True)
input()
files, failures = volume_cache.cache_volumes(cases, Grid((40, 40, 40), 1.0), Path(sys.argv[2]))
print(len(made), len(files), len(failures))
"""


@pytest.mark.slow
def test_programs_share_the_work_on_one_cache(tmp_path):
    images, cache, count = tmp_path / "images", tmp_path / "cache", 60
    images.mkdir()
    paths = [
        save(images / f"case{index}.nii", random_image(index, (40, 40, 40)))
        for index in range(count)
    ]
    command = [sys.executable, "-c", SHARING, images, cache]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert [one.stdout.readline() for one in programs] == ["ready\n"] * 3
    for one in programs:
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=300)[0].split() for one in programs]
    made, found, failed = zip(*(map(int, one) for one in said), strict=True)
    assert found == (count,) * 3
    assert failed == (0,) * 3
    assert min(made) > 0
    assert count <= sum(made) < 1.5 * count  # two may have begun the same one
    alone = [cached_volume(path, Grid((40, 40, 40), 1.0), tmp_path / "alone") for path in paths]
    assert {one.name: one.read_bytes() for one in cache.iterdir()} == {
        one.name: one.read_bytes() for one in alone
    }


def test_what_was_half_written_a_day_ago_is_removed_from_the_cache(phantom_root, tmp_path):
    old, new = (tmp_path / f".part-{name}.head.nii" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - 25 * 3600))
    cache_volumes(find_cases(phantom_root)[:1], Grid((8, 8, 8), 20.0), tmp_path)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.float32])
def test_metal_is_dark_with_a_robust_window_and_nowhere_else(tmp_path, kind):
    """A block of 5 % of the scan, many times as bright as all the rest."""
    volume = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(20, 20, 20)), 1.5)
    volume = (1000 + 3000 * volume).clip(0).astype(kind)
    metal = volume.copy()
    metal[12:20, 12:20, 12:18] = 30000
    plain, bright = (save(tmp_path / f"{n}.nii", v) for n, v in (("a", volume), ("b", metal)))
    grid = Grid((20, 20, 20), 1.0)
    before, after = (resample(read_image(one, "robust"), grid) for one in (plain, bright))
    inside = np.zeros(volume.shape, bool)
    inside[12:20, 12:20, 12:18] = True
    assert after.intensity.numpy()[inside].max() == 0
    apart = after.intensity.numpy().astype(int) - before.intensity.numpy()
    assert np.abs(apart[~inside]).max() <= 12  # by the window, which is nearly the same
    image = read_image(bright, "robust")
    assert image.voxels.max() == 30000  # as stored, for slices
    assert image.seen.dtype == kind
    untouched = read_image(plain, "robust")
    assert untouched.seen is untouched.voxels
    percentiles = read_image(bright, "percentiles")
    assert percentiles.seen is percentiles.voxels

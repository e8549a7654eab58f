import os
import time

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import Grid, apply_affine, grid_affine
from pin_lightning.data.cases import Case
from pin_lightning.data.preprocessing import (
    antialias,
    intensity_window,
    preprocess,
    rescale,
    suggest_grid,
)
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.volume_cache import cache_volumes, cached_volume, load_volume


def oblique_affine(sides: tuple[float, float, float], shape: tuple[int, ...]) -> np.ndarray:
    """Image axes near posterior, inferior, right; its centre at the world's origin."""
    affine = np.eye(4)
    axes = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]) * sides
    affine[:3, :3] = Rotation.from_euler("xyz", [10, 20, -10], degrees=True).as_matrix() @ axes
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def world_grid(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    ijk = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return apply_affine(affine, ijk)


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
    source = apply_affine(np.linalg.inv(affine), world_grid(volume.affine, grid.size))
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


def test_window_ignores_outliers():
    voxels = random_image(shape=(20, 20, 20))
    voxels[0, 0, 0] = 1e6
    low, high = intensity_window(voxels)
    assert 0 < low < 2
    assert 98 < high < 100


def test_window_of_a_mostly_empty_image_describes_what_is_not_empty():
    voxels = np.zeros((10, 10, 10), np.float32)
    voxels[0] = np.linspace(100, 200, 100).reshape(10, 10)
    low, high = intensity_window(voxels)
    assert (low, high) == (pytest.approx(100.5), pytest.approx(199.5))


def test_window_of_a_mask_is_its_two_values():
    voxels = np.zeros((10, 10, 10), np.uint8)
    voxels[2, 2, 2] = 7
    assert intensity_window(voxels) == (0, 7)
    assert intensity_window(7 - voxels) == (0, 7)


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


def test_suggested_grid_caps_the_longest_side():
    grid = suggest_grid([((512, 512, 300), np.diag([0.3, 0.3, 1.0, 1]))])
    assert grid.spacing_mm == 1.9  # 300 mm / 160 = 1.875
    assert grid.size == (81, 81, 158)


def test_suggested_grid_refuses_nothing_and_nonsense():
    header = ((10, 10, 10), np.eye(4))
    with pytest.raises(ValueError, match=r"data\.root"):
        suggest_grid([])
    with pytest.raises(ValueError, match=r"data\.spacing_mm=0"):
        suggest_grid([header], spacing_mm=0)
    with pytest.raises(ValueError, match=r"data\.grid_size=\[5, 5\]"):
        suggest_grid([header], size=(5, 5))


def truncated(path):
    save(path, random_image(shape=(30, 30, 30)))
    path.write_bytes(path.read_bytes()[:5000])


def without_position(path):
    save(path, random_image())
    image = nib.load(path)
    voxels, header = image.get_fdata(), image.header
    header.set_sform(None, 0)
    header.set_qform(None, 0)
    nib.save(nib.Nifti1Image(voxels, None, header), path)


def with_two_positions(path):
    image = nib.Nifti1Image(random_image(), np.eye(4))
    image.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    nib.save(image, path)


def coloured(path):
    colour = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    save(path, np.zeros((4, 4, 4), colour))


def vector(path):
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 2), str(path))


def flat(path):
    sitk.WriteImage(sitk.Image([4, 4], sitk.sitkUInt8), str(path))


def with_a_flat_axis(path):
    save(path, random_image())
    content = bytearray(path.read_bytes())
    content[312:328] = bytes(16)  # srow_z of the NIfTI header
    path.write_bytes(content)


def poked(value):
    def write(path):
        voxels = random_image()
        voxels[3, 3, 3] = value
        save(path, voxels)

    return write


BAD_IMAGES = {
    "absent": ("a.nii", lambda path: None, "no such file"),
    "absent-itk": ("a.nrrd", lambda path: None, "no such file"),
    "suffix": ("a.png", lambda path: path.touch(), "not an image that is read"),
    "garbage": ("a.nii.gz", lambda path: path.write_bytes(b"no" * 999), "cannot be read"),
    "garbage-itk": ("a.mha", lambda path: path.write_bytes(b"no" * 999), "cannot be read"),
    "truncated": ("a.nii", truncated, "cannot be read"),
    "truncated-gz": ("a.nii.gz", truncated, "cannot be read"),
    "4d": ("a.nii", lambda path: save(path, np.ones((4, 4, 4, 2), np.uint8)), "has shape"),
    "2d": ("a.nii", lambda path: save(path, np.ones((4, 4), np.uint8)), "has shape"),
    "slice": ("a.nii", lambda path: save(path, np.ones((4, 4, 1), np.uint8)), "has shape"),
    "2d-itk": ("a.mha", flat, "has shape"),
    "vector": ("a.nrrd", vector, "has 2 channels"),
    "colour": ("a.nii", coloured, "one channel"),
    "constant": ("a.nii", lambda path: save(path, np.full((4, 4, 4), 5.0)), "all voxels are 5"),
    "nan": ("a.nii", poked(np.nan), "NaN or infinite"),
    "infinite": ("a.nii", poked(np.inf), "NaN or infinite"),
    "no-position": ("a.nii", without_position, "neither sform nor qform"),
    "two-positions": ("a.nii", with_two_positions, r"sform and qform are 16 mm apart"),
    "singular": ("a.nii", with_a_flat_axis, "singular"),
}


@pytest.mark.parametrize(("name", "write", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images_are_refused_in_one_line_that_names_them(tmp_path, name, write, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        preprocess(path, Grid((8, 8, 8), 1.0))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cached_volume_is_what_preprocess_gives(tmp_path):
    affine = oblique_affine((0.15, 0.15, 0.15), (30, 30, 30))
    affine[:3, 3] += [120, -80, 40]
    path = save(tmp_path / "case.nii.gz", random_image(shape=(30, 30, 30)), affine)
    grid = Grid((25, 24, 23), 0.19)
    volume, cached = preprocess(path, grid), cached_volume(path, grid, tmp_path / "new" / "cache")
    again = load_volume(cached)
    assert cached.name.startswith("case_")
    assert torch.equal(again.intensity, volume.intensity)
    assert again.grid == grid
    np.testing.assert_allclose(again.affine, grid_affine(affine, (30, 30, 30), grid), atol=1e-4)
    assert [file.name for file in cached.parent.iterdir()] == [cached.name]
    as_itk_sees_it = sitk.GetArrayFromImage(sitk.ReadImage(str(cached))).T
    np.testing.assert_array_equal(as_itk_sees_it, volume.intensity)


def test_a_loaded_volume_may_be_changed_without_changing_the_file(tmp_path):
    path = save(tmp_path / "case.nii", random_image())
    cached = cached_volume(path, Grid((9, 8, 7), 1.0), tmp_path)
    before = load_volume(cached).intensity.clone()
    load_volume(cached).intensity.zero_()
    assert before.max() > 0
    assert torch.equal(load_volume(cached).intensity, before)


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


def test_cases_of_one_name_in_two_folders_do_not_share_a_cache_file(tmp_path):
    files = set()
    for seed, folder in enumerate((tmp_path / "a", tmp_path / "b")):
        folder.mkdir()
        path = save(folder / "case.nii", random_image(seed))
        os.utime(path, ns=(1, 1))
        files.add(cached_volume(path, Grid((9, 8, 7), 1.0), tmp_path / "cache"))
    assert len(files) == 2


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


def test_what_was_half_written_a_day_ago_is_removed_from_the_cache(phantom_root, tmp_path):
    old, new = (tmp_path / f".part-{name}.head.nii" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - 25 * 3600))
    cache_volumes(find_cases(phantom_root)[:1], Grid((8, 8, 8), 20.0), tmp_path)
    assert not old.exists()
    assert new.exists()

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from pin_lightning.data import scan_levels as module
from pin_lightning.data.scan_levels import line_weights, scan_levels, scan_to_world


def header(shape, sides=(1.0, 1.0, 1.0), degrees=0):
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [degrees, 0, degrees], degrees=True).as_matrix()
    affine[:3, :3] = turn * np.array(sides)
    affine[:3, 3] = [7, -3, 11]
    return affine


def test_weights_keep_constants_and_the_centre():
    for arguments in ((10, 1.0, 2.5), (7, 3.0, 2.0), (1, 1.0, 5.0), (50, 0.3, 1.0)):
        weights = line_weights(*arguments)
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-6)


def test_a_finer_line_is_interpolated_linearly():
    weights = line_weights(5, 2.0, 1.0)
    at = np.clip((np.arange(10) - 4.5) / 2 + 2, 0, 4)
    np.testing.assert_allclose(weights @ np.arange(5.0), at, atol=1e-5)


@pytest.mark.parametrize("spacing_mm", [1.0, 2.5])
def test_a_ramp_stays_where_it_is_in_the_world(spacing_mm):
    shape = (24, 30, 18)
    affine = header(shape, (1.0, 0.8, 1.3), 20)
    ijk = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    direction = np.array([1.0, 2.0, -0.5])
    voxels = apply_affine(affine, ijk) @ direction
    low, high = voxels.min() - 10, voxels.max() + 10
    made = scan_levels(voxels, affine, (low, high), (spacing_mm, 2 * spacing_mm))
    for level, spacing in zip(made.levels, (spacing_mm, 2 * spacing_mm), strict=True):
        inner = [slice(side // 4, side - side // 4) for side in level.shape]
        index = np.stack(np.meshgrid(*map(np.arange, level.shape), indexing="ij"), axis=-1)
        mm = spacing * (index - (np.array(level.shape) - 1) / 2)
        expected = (apply_affine(made.to_world, mm) @ direction - low) * 255 / (high - low)
        off = np.abs(level.numpy() - expected)[tuple(inner)]
        assert off.max() <= 1.1


def test_axes_are_reordered_as_those_of_working_volumes():
    shape = (12, 20, 16)
    affine = header(shape)
    voxels = np.random.default_rng(0).integers(0, 255, shape).astype(np.int16)
    turned = nib.Nifti1Image(voxels, affine).as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    one = scan_levels(voxels, affine, (0, 255), (2.0,))
    other = scan_levels(np.asarray(turned.dataobj), turned.affine, (0, 255), (2.0,))
    np.testing.assert_array_equal(one.levels[0], other.levels[0])
    np.testing.assert_allclose(one.to_world, other.to_world, atol=1e-9)
    np.testing.assert_allclose(scan_to_world(affine, shape), one.to_world)


def test_a_large_scan_is_converted_in_slabs(monkeypatch):
    voxels = np.random.default_rng(0).normal(size=(20, 12, 14))
    whole = scan_levels(voxels, header(voxels.shape), (-2, 2), (3.0, 6.0))
    monkeypatch.setattr(module, "SLAB", 500)
    slabs = scan_levels(voxels, header(voxels.shape), (-2, 2), (3.0, 6.0))
    for one, other in zip(whole.levels, slabs.levels, strict=True):
        assert (one.int() - other.int()).abs().max() <= 1


def test_a_scan_far_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_VOXELS", 100)
    voxels = np.zeros((20, 12, 14))
    with pytest.raises(ValueError, match="crop it"):
        scan_levels(voxels, header(voxels.shape), (0, 1), (1.0,))

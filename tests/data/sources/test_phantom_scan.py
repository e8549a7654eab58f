import numpy as np
import pytest

from pin_lightning.data.sources.phantom_scan import (
    FARTHEST_MM,
    NEAREST_MM,
    axes_mm,
    scan,
    speckle,
)


def scanned(bone_mm=lambda x, y, z: 99.0 + 0 * (x + y + z), size=(60, 50, 20), field=1.0):
    """Even tissue behind bone at the given distance, seen by the probe; 2 mm voxels."""
    axes, spacing = axes_mm(size, (2.0, 2.0, 2.0)), (2.0, 2.0, 2.0)
    even = np.full(size, 0.3, np.float32)
    bone = np.broadcast_to(bone_mm(*axes), even.shape).astype(np.float32)
    return scan(even, bone, axes, spacing, np.random.default_rng(0), field).astype(float)


def test_bone_shades_what_lies_behind_it_only():
    plate = scanned(lambda x, y, z: np.where(x < 0, y, 99.0) + 0 * z)
    free = scanned()
    assert plate[10:28, 24:26].mean() > 1.3 * free[10:28, 24:26].mean()
    assert plate[10:28, 32:45].mean() < 0.9 * free[10:28, 32:45].mean()
    np.testing.assert_array_equal(plate[:, 5:20], free[:, 5:20])
    np.testing.assert_array_equal(plate[30:], free[30:])
    # Echoes fade with depth.
    assert free[20:40, 38:48].mean() < 0.95 * free[20:40, 3:13].mean()


def test_speckle_is_rayleigh_like_and_widens_across_the_beam_with_depth():
    shape, spacing = (64, 64, 64), (0.5, 0.5, 0.5)
    grain = {}
    for depth in (NEAREST_MM, FARTHEST_MM):
        field = speckle(shape, spacing, np.full(shape, depth), np.random.default_rng(0))
        # Two looks: a chi law of four degrees of freedom, scaled to a mean square of one.
        assert np.mean(field**2) == pytest.approx(1, abs=0.01)
        assert field.std() == pytest.approx(np.sqrt(1 - 9 * np.pi / 32), rel=0.15)
        even = field - field.mean()
        lagged = [(even * np.roll(even, 2, axis)).mean() / even.var() for axis in range(3)]
        grain[depth] = lagged
    near, far = grain[NEAREST_MM], grain[FARTHEST_MM]
    assert far[0] > near[0] + 0.15
    assert far[2] > near[2] + 0.15
    assert far[0] > far[1] + 0.3


def test_a_larger_field_has_a_larger_sector_of_the_same_tissue():
    usual, large = scanned(size=(60, 50, 60)), scanned(size=(120, 100, 120), field=2.0)
    differ = (usual > 0) != _coarse(large > 0)
    assert differ.mean() < 0.02  # at its borders
    assert large[large > 0].mean() == pytest.approx(usual[usual > 0].mean(), rel=0.02)


def _coarse(volume):
    """Whether most of the eight voxels of a voxel twice as large are true."""
    return volume.reshape(60, 2, 50, 2, 60, 2).mean(axis=(1, 3, 5)) > 0.5

"""Points stay where they are: any affine, through loading, resampling, cropping and padding."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import Grid, grid_affine, mm_to_world, world_to_mm
from pin_lightning.data.images.reading import read_header
from pin_lightning.data.preprocessing import preprocess

SHAPE = (34, 30, 26)


@st.composite
def affines(draw, most_degrees=180.0, spacing=(0.01, 10.0), origin=1000.0):
    """Voxel index to world: any order and direction of axes, oblique, anisotropic, anywhere."""
    order = draw(st.permutations(range(3)))
    flips = draw(st.tuples(*3 * [st.sampled_from([-1.0, 1.0])]))
    vector = np.array(draw(st.tuples(*3 * [st.floats(-1, 1)])))
    angle = np.deg2rad(most_degrees) * draw(st.floats(0, 1))
    turn = Rotation.from_rotvec(vector / max(np.linalg.norm(vector), 1e-9) * angle).as_matrix()
    sides = np.array(draw(st.tuples(*3 * [st.floats(*spacing)])))
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, order] * np.array(flips) * sides
    affine[:3, 3] = draw(st.tuples(*3 * [st.floats(-origin, origin)]))
    return affine


@settings(max_examples=150, deadline=None)
@given(affine=affines(), point=st.tuples(*3 * [st.floats(-500, 500)]), side=st.floats(0.01, 10))
def test_world_to_grid_and_back_under_any_affine(affine, point, side):
    grid = Grid((40, 50, 60), side)
    working = grid_affine(affine, SHAPE, grid)
    mm = world_to_mm(np.array(point), working, grid)
    np.testing.assert_allclose(mm_to_world(mm, working, grid), point, atol=1e-4)
    ijk = grid.mm_to_ijk(mm)
    np.testing.assert_allclose(apply_affine(working, ijk), point, atol=1e-4)  # independent way
    np.testing.assert_allclose(grid.ijk_to_mm(ijk), mm, atol=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("balls")


GRIDS = {
    "same": Grid((40, 40, 40), 1.0),
    "coarser": Grid((30, 30, 30), 1.6),
    "finer": Grid((70, 70, 70), 0.7),
    "cropped": Grid((26, 24, 22), 1.0),
    "padded": Grid((60, 60, 60), 1.0),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(affine=affines(most_degrees=30.0, spacing=(0.8, 1.3), origin=100.0), seed=st.integers(0, 99))
def test_every_landmark_stays_within_half_a_voxel_of_its_ball(folder, grid, affine, seed):
    """A ball of brightness at each landmark; its centre of mass in the working volume."""
    rng = np.random.default_rng(seed)
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    world = apply_affine(affine, index.astype(float))
    middle = apply_affine(affine, (np.array(SHAPE) - 1) / 2)
    landmarks = middle + rng.uniform(-6, 6, (3, 3))
    path = folder / "balls.nii"
    for landmark in landmarks:  # one at a time, so that balls never touch
        distance = np.linalg.norm(world - landmark, axis=-1)
        nib.save(nib.Nifti1Image(np.exp(-((distance / 2.5) ** 2)).astype(np.float32), affine), path)
        volume = preprocess(path, grid)
        shape, image_affine = read_header(path)
        working = grid_affine(image_affine, shape, grid)
        expected = grid.mm_to_ijk(world_to_mm(landmark, working, grid))
        bright = np.where(volume.intensity.numpy() > 64, volume.intensity.numpy(), 0)
        found = ndimage.center_of_mass(bright.astype(float))
        assert np.abs(np.array(found) - expected).max() < 0.5

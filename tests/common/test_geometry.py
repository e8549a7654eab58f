from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import (
    Grid,
    canonical_affine,
    corner_distance_mm,
    flip_lps_ras,
    grid_affine,
    itk_affine,
    mm_to_world,
    times_as_long,
    world_to_mm,
)
from pin_lightning.data.preprocessing import preprocess

BALLS_WORLD = np.array([[12.0, -8, 5], [-14, 9, -7], [3, 12, 10]])
ORDERS = {
    "RAS": ((0, 1, 2), (1, 1, 1)),
    "LPS": ((0, 1, 2), (-1, -1, 1)),
    "PIR": ((1, 2, 0), (-1, -1, 1)),
    "SLA": ((2, 0, 1), (1, -1, 1)),
}


def affine_of(order="RAS", sides=(1.0, 1.0, 1.0), shape=(48, 48, 48), turn=(0, 0, 0)) -> np.ndarray:
    """Image of which axis i lies along world axis order[i]; its centre at the world's origin."""
    axes, flips = ORDERS[order]
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(axes)] * flips
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, :3] *= sides
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def saved_balls(path: Path, affine: np.ndarray, shape: tuple[int, ...]) -> Path:
    """Soft balls of different brightness at the landmarks, on a dim gradient."""
    ijk = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = apply_affine(affine, ijk)
    image = 30 + 0.2 * world[..., 0] + 0.1 * world[..., 2]
    for brightness, centre in zip((150, 200, 250), BALLS_WORLD, strict=True):
        distance = np.linalg.norm(world - centre, axis=-1)
        image += brightness / (1 + np.exp(2 * (distance - 3)))
    nib.save(nib.Nifti1Image(image.astype(np.float32), affine), path)
    return path


def check_balls(volume) -> None:
    """The centre of mass of what is bright within 6 voxels of a landmark is the landmark."""
    intensity, grid = volume.intensity.numpy(), volume.grid
    indices = np.stack(np.meshgrid(*map(np.arange, intensity.shape), indexing="ij"), axis=-1)
    for ijk in grid.mm_to_ijk(world_to_mm(BALLS_WORLD, volume.affine, grid)):
        near = np.linalg.norm(indices - ijk, axis=-1) < 6
        weights = np.where(near, np.clip(intensity.astype(float) - 90, 0, None), 0)
        found = (indices * weights[..., None]).sum(axis=(0, 1, 2)) / weights.sum()
        assert np.linalg.norm(found - ijk) < 0.15  # voxels


def random_affine(seed: int) -> np.ndarray:
    """Any orientation, any axis order and flips, anisotropic voxels, a far origin."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    flips = rng.choice([-1.0, 1.0], 3)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * flips * rng.uniform(0.1, 3, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    return affine


def test_grid_centre_and_corner_by_hand():
    grid = Grid((11, 21, 30), 0.5)
    assert grid.extent_mm == (5.5, 10.5, 15.0)
    np.testing.assert_allclose(grid.mm_to_ijk(np.zeros(3)), [5, 10, 14.5])
    np.testing.assert_allclose(grid.ijk_to_mm(np.array([[0, 0, 0]])), [[-2.5, -5, -7.25]])


def test_grid_takes_tensors_and_keeps_their_dtype():
    points = torch.tensor([[[1.0, -2.0, 3.0]]])
    ijk = Grid((3, 3, 3), 2.0).mm_to_ijk(points)
    assert ijk.dtype == torch.float32
    torch.testing.assert_close(ijk, torch.tensor([[[1.5, 0.0, 2.5]]]))
    torch.testing.assert_close(Grid((3, 3, 3), 2.0).ijk_to_mm(ijk), points)


def test_grid_refuses_sides_that_are_not_positive():
    for size in [(0, 4, 4), (4, -1, 4)]:
        with pytest.raises(ValueError, match=r"data\.grid_size=.*positive"):
            Grid(size, 1.0)
    for spacing in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"data\.spacing_mm=.*positive"):
            Grid((4, 4, 4), spacing)


def test_canonical_affine_by_hand():
    # Image axes: i to the back (P), j up (S), k to the left (L).
    affine = np.array([[0, 0, -3, 60], [-1, 0, 0, 9], [0, 2, 0, 0], [0, 0, 0, 1.0]])
    canonical, shape = canonical_affine(affine, (10, 20, 30))
    assert shape == (30, 10, 20)
    # The first voxel is now the leftmost, hindmost, lowest: x = 60 - 29 * 3, y = 9 - 9 * 1.
    expected = np.array([[3, 0, 0, -27], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(canonical, expected, atol=1e-12)


def test_grid_affine_by_hand():
    # 10 x 20 x 30 voxels of 1 x 2 x 3 mm, x flipped: the centre is at (-4.5, 19, 43.5).
    affine = grid_affine(np.diag([-1.0, 2, 3, 1]), (10, 20, 30), Grid((5, 5, 5), 4.0))
    expected = np.diag([4.0, 4, 4, 1])
    expected[:3, 3] = [-4.5 - 8, 19 - 8, 43.5 - 8]
    np.testing.assert_allclose(affine, expected, atol=1e-12)


def test_grid_affine_of_a_sheared_image_is_a_rotation_near_it():
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    axes = grid_affine(sheared, (8, 8, 8), Grid((8, 8, 8), 2.0))[:3, :3] / 2
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    unit_columns = sheared[:3, :3] / np.linalg.norm(sheared[:3, :3], axis=0)
    nearest = np.linalg.norm(axes - unit_columns)
    others = Rotation.random(500, random_state=0).as_matrix() - unit_columns
    assert nearest < np.linalg.norm(others, axis=(1, 2)).min()
    assert nearest < np.linalg.norm(np.eye(3) - unit_columns)


def test_grid_affine_refuses_a_singular_affine_but_not_very_small_voxels():
    for broken in (np.diag([1.0, 0, 1, 1]), np.diag([1.0, np.nan, 1, 1]), np.ones((4, 4))):
        with pytest.raises(ValueError, match="singular"):
            grid_affine(broken, (8, 8, 8), Grid((8, 8, 8), 1.0))
    affine = grid_affine(np.diag([1e-4, 1e-4, 1e-4, 1]), (8, 8, 8), Grid((8, 8, 8), 1e-4))
    np.testing.assert_allclose(affine, np.diag([1e-4, 1e-4, 1e-4, 1]), atol=1e-16)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_world_round_trip_under_any_affine(seed):
    rng = np.random.default_rng(seed)
    grid = Grid(tuple(int(side) for side in rng.integers(1, 200, 3)), float(rng.uniform(0.1, 3)))
    affine = grid_affine(random_affine(seed), tuple(rng.integers(2, 200, 3).tolist()), grid)
    points = rng.uniform(-300, 300, (7, 3))
    back = mm_to_world(world_to_mm(points, affine, grid), affine, grid)
    np.testing.assert_allclose(back, points, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_grid_affine_keeps_centre_and_hand_under_any_affine(seed):
    image_affine, shape, grid = random_affine(seed), (20, 31, 44), Grid((9, 12, 15), 1.3)
    affine = grid_affine(image_affine, shape, grid)
    centre_world = apply_affine(image_affine, (np.array(shape) - 1) / 2)
    np.testing.assert_allclose(world_to_mm(centre_world, affine, grid), 0, atol=1e-9)
    axes = affine[:3, :3] / grid.spacing_mm
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    # Every image axis is, up to its sign, an axis of the working volume.
    image_axes = image_affine[:3, :3] / np.linalg.norm(image_affine[:3, :3], axis=0)
    np.testing.assert_allclose(np.sort(np.abs(axes.T @ image_axes), axis=0)[2], 1, atol=1e-9)


def test_points_between_world_and_mm_by_hand():
    grid = Grid((3, 3, 3), 2.0)
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [100, 0, 0]  # first voxel; the centre voxel is at (102, 2, 2)
    np.testing.assert_allclose(world_to_mm(np.array([[102, 2, 3]]), affine, grid), [[0, 0, 1]])
    np.testing.assert_allclose(mm_to_world(np.zeros((1, 3)), affine, grid), [[102, 2, 2]])
    assert np.isnan(world_to_mm(np.full((1, 3), np.nan), affine, grid)).all()


@pytest.mark.parametrize("seed", range(5))
def test_itk_affine_agrees_with_itk(seed):
    rng = np.random.default_rng(seed)
    image = sitk.Image([6, 7, 8], sitk.sitkUInt8)
    image.SetSpacing(rng.uniform(0.1, 3, 3).tolist())
    image.SetOrigin(rng.uniform(-100, 100, 3).tolist())
    image.SetDirection(Rotation.random(random_state=seed).as_matrix().ravel().tolist())
    affine = itk_affine(image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    for index in [(0, 0, 0), (5, 0, 2), (1, 6, 7)]:
        point_lps = np.array(image.TransformIndexToPhysicalPoint(index))
        np.testing.assert_allclose(apply_affine(affine, np.array(index)), flip_lps_ras(point_lps))


def test_corner_distance_by_hand():
    moved = np.eye(4)
    moved[0, 3] = 3
    stretched = np.diag([1.0, 2, 1, 1])
    assert corner_distance_mm(np.eye(4), moved, (5, 5, 5)) == pytest.approx(3)
    assert corner_distance_mm(np.eye(4), stretched, (5, 11, 5)) == pytest.approx(10)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("turn", [(0, 0, 0), (8, -12, 20)], ids=["straight", "oblique"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_landmarks_stay_on_what_they_mark(tmp_path, order, turn, suffix):
    shape, sides = (50, 44, 40), (0.9, 1.0, 1.2)
    affine = affine_of(order, sides, shape, turn)
    path = saved_balls(tmp_path / "ball.nii.gz", affine, shape)
    if suffix != ".nii.gz":
        image = sitk.ReadImage(str(path))
        path = tmp_path / f"ball{suffix}"
        sitk.WriteImage(image, str(path))
    check_balls(preprocess(path, Grid((48, 48, 48), 1.1)))


def test_axis_order_and_flips_leave_the_working_volume_alone(tmp_path):
    grid = Grid((40, 40, 40), 1.3)
    volumes = []
    for order in ORDERS:
        affine = affine_of(order, turn=(5, 10, -15))
        path = saved_balls(tmp_path / f"{order}.nii", affine, (48, 48, 48))
        volumes.append(preprocess(path, grid))
    for volume in volumes[1:]:
        np.testing.assert_allclose(volume.affine, volumes[0].affine, atol=1e-4)
        difference = volume.intensity.int() - volumes[0].intensity.int()
        assert difference.abs().max() <= 1
    assert volumes[0].intensity.float().std() > 10


def test_a_sheared_image_is_resampled_along_its_axes_as_they_are(tmp_path):
    shape = (48, 48, 48)
    affine = affine_of(shape=shape)
    affine[0, 1] = 0.15
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, 23.5)
    check_balls(preprocess(saved_balls(tmp_path / "ct.nii", affine, shape), Grid(shape, 1.0)))


def test_times_as_long_whatever_the_axes():
    grid = Grid((50, 40, 30), 2.0)  # 100 mm
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, 0.5, 0], [-0.5, 0, 0], [0, 0, 0.25]])
    assert times_as_long(turned, (100, 40, 40), grid) == 0.5
    assert times_as_long(np.diag([1, 1, 3, 1]), (10, 10, 100), grid) == 3

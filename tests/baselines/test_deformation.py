import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.baselines.deformation import (
    affine_of,
    as_image,
    box_about,
    carried,
    cropped,
    extent_of,
    fit_affine,
    fit_deformation,
    fuse,
    shrunken,
)
from pin_lightning.common.alignment import Pose
from pin_lightning.common.geometry import Grid

GRID = Grid((36, 32, 28), 2.0)


def blobs(seed=0):
    """Bright balls, and their centres in grid mm."""
    rng = np.random.default_rng(seed)
    centres_mm = rng.uniform(-1, 1, (8, 3)) * [22, 18, 15]
    return centres_mm, rng.uniform(3, 6, 8)


def drawn(centres_mm, sizes_mm, back):
    """A volume in which what lies at p is what the balls have at ``back(p)``."""
    axes = [np.arange(side, dtype=float) for side in GRID.size]
    points = back(GRID.ijk_to_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)))
    volume = np.zeros(GRID.size)
    for centre, size in zip(centres_mm, sizes_mm, strict=True):
        volume += 100 * np.exp(-0.5 * (np.linalg.norm(points - centre, axis=-1) / size) ** 2)
    return torch.from_numpy(volume.clip(0, 255).round().astype(np.uint8))


def test_points_of_an_image_are_grid_mm():
    volume = torch.zeros(GRID.size, dtype=torch.uint8)
    volume[3, 5, 7] = 200
    image = as_image(volume, GRID.spacing_mm)
    at_mm = GRID.ijk_to_mm(np.array([3.0, 5.0, 7.0]))
    assert image.TransformPhysicalPointToIndex(at_mm.tolist()) == (3, 5, 7)
    assert image[3, 5, 7] == 200


def test_the_box_about_landmarks_by_hand():
    points = np.array([[-10.0, 0, 2], [10.0, 4, 4], [np.nan] * 3])
    assert extent_of(points, 40.0) == 20
    assert extent_of(points, 100.0) == 25
    low, high = box_about(points, 20.0)
    np.testing.assert_allclose(low, [-13, -3, -1])
    np.testing.assert_allclose(high, [13, 7, 7])


def test_a_part_of_an_image_keeps_its_place_and_ends_where_the_image_does():
    volume = torch.arange(GRID.size[0] * GRID.size[1] * GRID.size[2]).view(GRID.size).remainder(251)
    image = as_image(volume.to(torch.uint8), GRID.spacing_mm)
    part = cropped(image, np.array([-3.0, -200, 5]), np.array([9.0, 4, 300]))
    first = image.TransformPhysicalPointToIndex(part.GetOrigin())
    last = [start + side - 1 for start, side in zip(first, part.GetSize(), strict=True)]
    # (-3, 5) mm lie at 16 and 16 voxels; (9, 4) at 22 and 17.5.
    assert (first, tuple(last)) == ((16, 0, 16), (22, 18, 27))
    assert part[0, 1, 2] == image[16, 1, 18]


def test_a_pose_is_the_affine_map_that_places_points_about_any_centre():
    pose = Pose(Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix(), np.array([4.0, -3, 2]), 1.1)
    points = np.random.default_rng(0).normal(0, 20, (5, 3))
    found = carried(affine_of(pose, np.array([7.0, 1, -5])), points)
    np.testing.assert_allclose(found, pose.place(points))


def test_missing_points_stay_missing():
    points = np.array([[1.0, 2, 3], [np.nan] * 3])
    found = carried(sitk.TranslationTransform(3, [1.0, 0, 0]), points)
    np.testing.assert_allclose(found, [[2.0, 2, 3], [np.nan] * 3])


def test_a_shrunken_image_keeps_its_place_to_half_a_voxel():
    centres_mm, sizes = blobs()
    volume = drawn(centres_mm[:1], sizes[:1], lambda points: points)
    small = shrunken(as_image(volume, GRID.spacing_mm), 2)
    array = sitk.GetArrayFromImage(small).T
    at = ndimage.center_of_mass(array**2)
    found = small.TransformContinuousIndexToPhysicalPoint(at)
    # ITK keeps a voxel beside the middle of so many; all images of a level move alike.
    np.testing.assert_allclose(found, centres_mm[0], atol=0.51 * GRID.spacing_mm)


@pytest.mark.slow
def test_a_known_affine_map_and_a_known_bend_are_found():
    centres_mm, sizes = blobs()
    pose = Pose(Rotation.from_rotvec([0.1, -0.08, 0.06]).as_matrix(), np.array([3.0, -2, 2]), 1.05)
    atlas = as_image(drawn(centres_mm, sizes, lambda points: points), GRID.spacing_mm)
    scan = as_image(drawn(centres_mm, sizes, pose.inverse().place), GRID.spacing_mm)
    begin = affine_of(Pose(np.eye(3), np.zeros(3)), np.zeros(3))
    affine = fit_affine(atlas, scan, begin)
    apart = np.linalg.norm(carried(affine, centres_mm) - pose.place(centres_mm), axis=1)
    assert apart.mean() < 0.25 * GRID.spacing_mm

    def back(points):  # by up to 3 mm, as no affine map does
        return points + 3 * np.sin(points[..., [1, 2, 0]] / 8)

    scan = as_image(drawn(centres_mm, sizes, back), GRID.spacing_mm)
    forth = centres_mm
    for _ in range(60):
        forth = centres_mm - 3 * np.sin(forth[..., [1, 2, 0]] / 8)
    affine = fit_affine(atlas, scan, begin)
    bent = carried(fit_deformation(atlas, scan, affine), centres_mm)
    before = np.linalg.norm(carried(affine, centres_mm) - forth, axis=1).mean()
    assert np.linalg.norm(bent - forth, axis=1).mean() < min(0.5 * before, 0.4 * GRID.spacing_mm)


def test_fused_by_hand():
    nan = np.nan
    first = [[0.0, 0, 0], [1, 1, 1], [nan, nan, nan]]
    second = [[0.0, 0, 3], [nan, nan, nan], [nan, nan, nan]]
    third = [[0.0, 0, 9], [nan, nan, nan], [nan, nan, nan]]
    fused, spread = fuse(np.array([first, second, third]))
    np.testing.assert_allclose(fused, [[0, 0, 3], [1, 1, 1], [nan] * 3])
    np.testing.assert_allclose(spread, [np.sqrt((9 + 0 + 36) / 3), nan, nan])

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from pin_lightning.data.preprocessing import OriginalImage
from pin_lightning.evaluation.planes import slices as plane_slices
from pin_lightning.evaluation.planes.plane import Plane
from pin_lightning.evaluation.planes.slices import PlaneSlice, cut_slice

SIZE = (12, 15, 9)
SIDES_MM = (0.8, 1.0, 2.0)
TO_LPS = np.array([-1.0, -1.0, 1.0])


def image_of(seed=0, axes="RAS"):
    """Random voxels, oblique, far from the scanner's centre."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * SIDES_MM
    affine[:3, 3] = [30.0, -20.0, 55.0]
    voxels = rng.integers(-1000, 2000, SIZE).astype(np.int16)
    image = nib.Nifti1Image(voxels, affine)
    now = nib.orientations.io_orientation(affine)
    turn = nib.orientations.ornt_transform(now, nib.orientations.axcodes2ornt(axes))
    image = image.as_reoriented(turn)
    return OriginalImage(np.asarray(image.dataobj), image.affine, (-1000.0, 2000.0))


def plane_of(image, seed=0, shift_mm=0.0):
    """A random plane near the middle of the image."""
    axes = Rotation.random(random_state=seed + 100).as_matrix()
    middle = apply_affine(image.affine, (np.array(image.voxels.shape) - 1) / 2)
    return Plane(middle + [0.3, -0.2, 0.1] + shift_mm * axes[:, 2], *axes.T)


def pixel_places(one):
    """World position of every pixel [W, H, 3]."""
    pixels = np.stack(np.meshgrid(*map(np.arange, (*one.pixels.shape, 1)), indexing="ij"), -1)
    return apply_affine(one.affine, pixels[:, :, 0])


def test_an_axis_parallel_slice_by_hand():
    voxels = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    image = OriginalImage(voxels, np.eye(4), (0.0, 23.0))
    plane = Plane(np.array([0.0, 1.0, 1.5]), *np.eye(3))
    one = cut_slice(image, plane)
    np.testing.assert_allclose(one.pixels, voxels[:, :, 1:3].mean(axis=2))
    np.testing.assert_allclose(one.affine[:3, 3], [0, 0, 1.5])
    np.testing.assert_allclose(one.affine[:3, :3], np.eye(3))
    across = Plane(np.array([0.0, 1.0, 2.0]), *np.eye(3)[[1, 2, 0]])
    np.testing.assert_allclose(cut_slice(image, across).pixels, voxels[0])


def test_the_picture_has_y_upwards_and_black_outside():
    pixels = np.array([[0.0, 50.0], [100.0, np.nan], [200.0, -10.0]], dtype=np.float32)
    picture = PlaneSlice(pixels, np.eye(4), (0.0, 100.0)).picture
    np.testing.assert_array_equal(picture, [[128, 0, 0], [0, 255, 255]])


@pytest.mark.parametrize("seed", range(4))
def test_pixels_lie_in_the_plane_and_hold_the_whole_cross_section(seed):
    image = image_of(seed)
    plane = plane_of(image, seed)
    one = cut_slice(image, plane)
    places = pixel_places(one)
    np.testing.assert_allclose(plane.from_world(places)[..., 2], 0, atol=1e-9)
    np.testing.assert_allclose(one.affine[:3, :3], plane.directions * min(SIDES_MM), atol=1e-12)
    indices = np.linalg.inv(one.affine) @ [*plane.centre_world, 1]
    np.testing.assert_allclose(indices, indices.round(), atol=1e-9)
    far = 40.0 * np.random.default_rng(seed).uniform(-1, 1, (4000, 3)) * [1, 1, 0]
    ijk = apply_affine(np.linalg.inv(image.affine), plane.to_world(far))
    inside = ((ijk >= 0) & (ijk <= np.array(image.voxels.shape) - 1)).all(axis=-1)
    pixel = apply_affine(np.linalg.inv(one.affine), plane.to_world(far[inside]))[:, :2].round()
    assert inside.sum() > 30
    assert (pixel >= 0).all()
    assert (pixel < one.pixels.shape).all()


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SLA"])
def test_intensities_are_those_that_simpleitk_finds_on_the_plane(axes, tmp_path):
    image = image_of(3, axes)
    one = cut_slice(image, plane_of(image, 3))
    nib.save(nib.Nifti1Image(image.voxels, image.affine), tmp_path / "image.nii.gz")
    volume = sitk.Cast(sitk.ReadImage(str(tmp_path / "image.nii.gz")), sitk.sitkFloat32)
    reference = sitk.Image(*one.pixels.shape, 1, sitk.sitkFloat32)
    reference.SetOrigin((TO_LPS * one.affine[:3, 3]).tolist())
    reference.SetSpacing(np.linalg.norm(one.affine[:3, :3], axis=0).tolist())
    directions = TO_LPS[:, None] * one.affine[:3, :3] / np.linalg.norm(one.affine[:3, 0])
    reference.SetDirection(directions.ravel().tolist())
    outside = -32768.0
    found = sitk.Resample(volume, reference, sitk.Transform(), sitk.sitkLinear, outside)
    expected = sitk.GetArrayFromImage(found)[0].T
    same = (expected == outside) == np.isnan(one.pixels)
    assert same.mean() > 0.99  # at the faces the affine of the file is rounded
    both = same & (expected != outside)
    assert both.sum() > 50
    np.testing.assert_allclose(one.pixels[both], expected[both], atol=0.1)


def test_a_plane_beside_the_image_cuts_nothing():
    image = image_of()
    assert cut_slice(image, plane_of(image, shift_mm=15.0)) is None


def test_slices_stay_bounded(monkeypatch):
    monkeypatch.setattr(plane_slices, "LONGEST_SIDE", 10)
    image = image_of()
    one = cut_slice(image, plane_of(image))
    assert max(one.pixels.shape) in (9, 10)
    assert np.linalg.norm(one.affine[:3, 0]) > min(SIDES_MM)
    assert np.isfinite(one.pixels).any()

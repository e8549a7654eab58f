import gzip

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation
from served_scans import BALL_MM, ball_volume, centre_mm, oblique_affine, write_ball

from pin_lightning.annotation.frames import (
    MOST_DETAIL_VOXELS,
    MOST_VOXELS,
    anatomical_frame,
    scanner_frame,
)
from pin_lightning.annotation.images import Images
from pin_lightning.annotation.resampling import sampled
from pin_lightning.annotation.volumes import Scans

AFFINES = {
    "oblique and flipped": oblique_affine(),
    "along the axes": np.diag([1.0, 1.0, 1.0, 1.0]),
    "mirrored": np.diag([-0.8, -0.8, 2.0, 1.0]),
    "sheared": oblique_affine(seed=8, shear=0.2),
}


@pytest.fixture(params=list(AFFINES))
def ball(request, tmp_path):
    """A scan with a ball, its header, and the place of the ball in the world."""
    world = write_ball(tmp_path / "ball.nii.gz", affine=AFFINES[request.param])
    scans = Scans.find(str(tmp_path))
    scan = next(iter(scans.values()))
    return scan, scans.header(scan), world


def frames_of(header):
    pose = np.eye(4)
    pose[:3, :3] = 1.3 * Rotation.from_euler("xyz", [50, -20, 120], degrees=True).as_matrix()
    pose[:3, 3] = header[1][:3] @ [20, 20, 20, 1]
    return {"scanner": scanner_frame(header), "anatomical": anatomical_frame(header, pose)}


def in_view(frame, world):
    return (np.linalg.inv(frame.to_world) @ [*world, 1.0])[:3]


@pytest.mark.parametrize("name", ["scanner", "anatomical"])
def test_a_ball_lies_where_the_frame_says_in_overview_and_detail(ball, name):
    scan, header, world = ball
    frame, finest = frames_of(header)[name], min(np.linalg.norm(header[1][:3, :3], axis=0))
    expected = in_view(frame, world)
    np.testing.assert_allclose(
        frame.to_world[:3, :3] @ frame.to_world[:3, :3].T, np.eye(3), atol=1e-6
    )
    assert np.linalg.det(frame.to_world[:3, :3]) > 0
    whole = gzip.decompress(Images().overview(scan, frame))
    asked = expected + np.array([0.7, -0.4, 0.3])
    cube = gzip.decompress(Images().detail(scan, frame, asked, 8 * BALL_MM))
    for content in (whole, cube):
        found, image = centre_mm(content)
        assert (np.diag(image.affine)[:3] > 0).all()
        assert np.count_nonzero(image.affine[:3, :3]) == 3
        assert np.abs(found - expected).max() < 0.1 * finest
        assert max(image.shape) <= MOST_VOXELS
        np.testing.assert_allclose(image.header.get_qform(), image.affine, atol=1e-5)


def test_voxels_are_those_of_nibabel_and_scipy(ball):
    """An independent way: each voxel's world position, looked up in the file by SciPy."""
    scan, header, world = ball
    stored = nib.load(scan.file.path)
    for frame in frames_of(header).values():
        content = gzip.decompress(Images().detail(scan, frame, in_view(frame, world), 9.0))
        cube = nib.Nifti1Image.from_bytes(content)
        ijk = np.stack(np.meshgrid(*map(np.arange, cube.shape), indexing="ij"), -1)
        to_file = np.linalg.inv(stored.affine) @ frame.to_world @ cube.affine
        places = ijk @ to_file[:3, :3].T + to_file[:3, 3]
        voxels = np.asanyarray(stored.dataobj).astype(float)
        expected = ndimage.map_coordinates(voxels, np.moveaxis(places, -1, 0), order=1, cval=100)
        np.testing.assert_allclose(cube.get_fdata(), expected, atol=0.51)  # whole numbers


def test_a_small_scan_is_sent_as_it_is(tmp_path):
    write_ball(tmp_path / "ball.nii.gz")
    scans = Scans.find(str(tmp_path))
    scan = next(iter(scans.values()))
    sent = nib.Nifti1Image.from_bytes(
        gzip.decompress(Images().overview(scan, scanner_frame(scans.header(scan))))
    )
    canonical = nib.as_closest_canonical(nib.load(tmp_path / "ball.nii.gz"))
    np.testing.assert_array_equal(sent.get_fdata(), canonical.get_fdata())
    low, high = Images().window(scan)
    assert (sent.header["cal_min"], sent.header["cal_max"]) == (low, high)


@pytest.mark.slow
def test_a_large_scan_fits_and_keeps_its_ball(tmp_path):
    affine = oblique_affine(sides_mm=(0.1, 0.4, 0.1))
    size, ijk = (600, 300, 40), (411.2, 90.7, 22.4)
    voxels = ball_volume(affine, ijk, size, radius_mm=1.0)
    nib.save(nib.Nifti1Image(voxels, affine), tmp_path / "large.nii")
    scans = Scans.find(str(tmp_path))
    scan = next(iter(scans.values()))
    header = scans.header(scan)
    frame, world = scanner_frame(header), affine[:3, :3] @ ijk + affine[:3, 3]
    whole, image = centre_mm(gzip.decompress(Images().overview(scan, frame)))
    assert sorted(image.shape) == [40, MOST_VOXELS, MOST_VOXELS]
    found, cube = centre_mm(gzip.decompress(Images().detail(scan, frame, whole, 1000.0)))
    assert cube.shape == (MOST_DETAIL_VOXELS,) * 3
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(cube.header.get_zooms(), sides.min(), rtol=1e-5)
    expected = in_view(frame, world)
    assert np.abs(whole - expected).max() < 0.1 * sides.max()
    assert np.abs(found - expected).max() < 0.1 * sides.min()


def test_fractions_and_large_ranges_are_sent_with_16_bits(tmp_path):
    random = np.random.default_rng(0)
    voxels = random.normal(0, 1e-3, (20, 21, 22)).astype(np.float32)
    voxels[3, 3, 3] = 1e6  # metal
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii")
    scans = Scans.find(str(tmp_path))
    scan = next(iter(scans.values()))
    content = Images().overview(scan, scanner_frame(scans.header(scan)))
    sent = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    assert sent.get_data_dtype() == np.uint16
    low, high = Images().window(scan)
    seen = (voxels > low) & (voxels < high)
    np.testing.assert_allclose(sent.get_fdata()[seen], voxels[seen], atol=(high - low) / 2e4)


def test_an_image_is_read_once_and_again_when_its_file_changes(tmp_path, monkeypatch):
    from pin_lightning.annotation import images

    reads = []
    read = images.read_voxels
    monkeypatch.setattr(images, "read_voxels", lambda path: reads.append(path) or read(path))
    write_ball(tmp_path / "ball.nii.gz")
    scans, made = Scans.find(str(tmp_path)), Images()
    scan = next(iter(scans.values()))
    frames = frames_of(scans.header(scan)).values()
    for frame in frames:
        made.overview(scan, frame)
        made.detail(scan, frame, (0, 0, 0), 5.0)
    assert len(reads) == 1
    tags = [made.tag(scan, frame) for frame in frames]
    write_ball(tmp_path / "ball.nii.gz", ijk=(9.0, 9.0, 9.0))
    assert made.tag(scan, next(iter(frames))) not in tags
    made.overview(scan, next(iter(frames)))
    assert len(reads) == 2


def test_border_voxels_stay_where_rounding_puts_them_outside():
    to_voxels = np.eye(4)
    to_voxels[:2, 3] = -1e-9, 1e-9
    found = sampled(np.full((4, 5, 6), 7.0, np.float32), to_voxels, (4, 5, 6), outside=0.0)
    np.testing.assert_allclose(found, 7.0, rtol=1e-6)

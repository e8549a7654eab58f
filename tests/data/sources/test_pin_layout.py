import nibabel as nib
import numpy as np
import pytest

from pin_lightning.data.sources.pin_layout import pin_cases


@pytest.fixture
def root(tmp_path):
    affine = np.array([[-0.5, 0, 0, 10], [0, 0.5, 0, 20], [0, 0, 0.5, 30], [0, 0, 0, 1]])
    for folder in ("Images", "Landmarks"):
        (tmp_path / folder).mkdir()
    for name in ("head1", "head2"):
        image = nib.Nifti1Image(np.ones((9, 9, 9), np.uint8), affine)
        nib.save(image, tmp_path / "Images" / f"{name}.nii.gz")
        (tmp_path / "Landmarks" / f"{name}_ps.txt").write_text("0 0 0\n2 4 6\n8 8 8\n")
    return tmp_path


def test_voxel_indices_become_world_positions(root):
    """By hand: voxel 2 along an axis of -0.5 mm from 10 is at 9."""
    first, second = pin_cases(root)
    assert (first.name, second.name) == ("head1", "head2")
    landmarks = first.read()
    assert landmarks.names == ("1", "2", "3")
    np.testing.assert_allclose(landmarks.positions_world, [[10, 20, 30], [9, 22, 33], [6, 24, 34]])


def test_unwanted_lines_and_names(root):
    landmarks = pin_cases(root, unwanted=[1], names=["front", "back"])[0].read()
    assert landmarks.names == ("front", "back")
    np.testing.assert_allclose(landmarks.positions_world, [[10, 20, 30], [6, 24, 34]])

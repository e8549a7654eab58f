"""The same anatomy in every guise gives the same predicted world positions."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_series
from nibabel import orientations
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.runs.predictor import Predictor

SPACING_MM = 3.0
AXES = ["RAS", "LPS", "PIR", "SLA", "AIL", "LSP"]
FORMATS = [".nii", ".nii.gz", ".nrrd", ".mha", ".mgz", "dicom"]


@pytest.fixture(scope="module")
def head():
    phantom = make_phantom(31, (54, 35, 47), 3 * (SPACING_MM,), oblique_degrees=12.0)
    return nib.Nifti1Image(phantom.volume, phantom.affine)


@pytest.fixture(scope="module")
def predictor(short_run):
    return Predictor.load(short_run, "cpu")


@pytest.fixture(scope="module")
def expected_world(head, predictor, tmp_path_factory):
    path = tmp_path_factory.mktemp("as it is") / "head.nii"
    nib.save(head, path)
    return predictor.predict(path).positions_world


def turned(image, axes):
    """The same voxels in another order, at the same places of the world."""
    now = orientations.io_orientation(image.affine)
    return image.as_reoriented(orientations.ornt_transform(now, orientations.axcodes2ornt(axes)))


def apart_mm(prediction, expected):
    return np.linalg.norm(prediction.positions_world - expected, axis=1).max()


@pytest.mark.parametrize("axes", AXES)
def test_axis_order_and_flips(axes, head, predictor, expected_world, tmp_path):
    nib.save(turned(head, axes), tmp_path / "head.nii.gz")
    assert apart_mm(predictor.predict(tmp_path / "head.nii.gz"), expected_world) < SPACING_MM / 2


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("axes", ["RAS", "PIR"])
def test_every_format(kind, axes, head, predictor, expected_world, tmp_path):
    source = tmp_path / "source.nii"
    nib.save(turned(head, axes), source)
    path = tmp_path / f"head{kind}"
    if kind == "dicom":
        write_series(sitk.ReadImage(str(source)), path)
    elif kind == ".mgz":
        image = nib.load(source)
        nib.save(nib.MGHImage(np.asarray(image.dataobj), image.affine), path)
    else:
        sitk.WriteImage(sitk.ReadImage(str(source)), str(path))
    assert apart_mm(predictor.predict(path), expected_world) < SPACING_MM / 2


def test_a_head_that_is_turned_in_the_world_has_its_landmarks_turned(
    head, predictor, expected_world, tmp_path
):
    move = np.eye(4)
    move[:3, :3] = Rotation.from_rotvec([0.2, -0.15, 0.1]).as_matrix()
    move[:3, 3] = [40, -25, 60]
    nib.save(nib.Nifti1Image(np.asarray(head.dataobj), move @ head.affine), tmp_path / "head.nii")
    found = predictor.predict(tmp_path / "head.nii")
    assert apart_mm(found, apply_affine(move, expected_world)) < SPACING_MM / 2

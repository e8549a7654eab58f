"""The same anatomy in every guise gives the same predicted world positions."""

import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from data.test_layouts import write_series
from nibabel import orientations
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import apply_affine
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
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


@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv", ".csv"])
def test_files_in_lps_and_in_ras_hold_the_same_positions(
    suffix, expected_world, predictor, tmp_path
):
    path = tmp_path / f"head{suffix}"
    write_landmarks(path, LandmarkSet.of(predictor.names, expected_world))
    text = path.read_text("utf-8")
    if suffix == ".mrk.json":  # the same points as RAS by hand
        content = json.loads(text)
        markup = content["markups"][0]
        assert markup["coordinateSystem"] == "LPS"
        markup["coordinateSystem"] = "RAS"
        for point in markup["controlPoints"]:
            point["position"] = [-point["position"][0], -point["position"][1], point["position"][2]]
        path.write_text(json.dumps(content))
    np.testing.assert_allclose(read_landmarks(path).positions_world, expected_world, atol=1e-3)


def test_our_markups_land_on_the_same_voxel_for_simpleitk_and_nibabel(
    head, predictor, expected_world, tmp_path
):
    image_path, markups_path = tmp_path / "head.nii.gz", tmp_path / "head.mrk.json"
    nib.save(turned(head, "PIR"), image_path)
    write_landmarks(markups_path, predictor.predict(image_path).landmarks)
    points = json.loads(markups_path.read_text("utf-8"))["markups"][0]["controlPoints"]
    lps = np.array([point["position"] for point in points])
    itk = sitk.ReadImage(str(image_path))
    by_itk = np.array(
        [itk.TransformPhysicalPointToContinuousIndex(point) for point in lps.tolist()]
    )
    inverse = np.linalg.inv(nib.load(image_path).affine)
    by_nibabel = apply_affine(inverse, lps * [-1, -1, 1])
    np.testing.assert_allclose(by_itk, by_nibabel, atol=1e-3)
    assert (by_itk > 0).all()
    assert (by_itk < np.array(itk.GetSize()) - 1).all()

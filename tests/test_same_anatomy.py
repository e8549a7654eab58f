"""The same anatomy in every guise: axis orders, flips, oblique directions, formats, LPS and RAS."""

import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from test_layouts import write_series

from pin_lightning.cases import find_cases
from pin_lightning.data.phantom import make_phantom
from pin_lightning.inspection import annotate, inspect_cases
from pin_lightning.landmark_files import write_landmarks
from pin_lightning.predictor import Predictor
from pin_lightning.preprocessing import preprocess

HEAD = make_phantom(77, (54, 35, 47), (3.0, 3.0, 3.0))
FLIP = np.array([-1.0, -1.0, 1.0])
# The head moved in the world: its voxels stay, its header says another place and direction.
MOVE = np.eye(4)
MOVE[:3, :3] = Rotation.from_euler("xyz", [12, -17, 25], degrees=True).as_matrix()
MOVE[:3, 3] = (31.0, -8.5, 70.0)


@pytest.fixture(scope="module")
def predictor(short_run):
    return Predictor.load(short_run, device="cpu")


def image_of(axes="RAS", move=None, volume=HEAD.volume):
    """The head as nibabel has it, its voxels along other axes but every one in its place."""
    image = nib.Nifti1Image(volume, HEAD.affine if move is None else move @ HEAD.affine)
    wanted = nib.orientations.axcodes2ornt(axes)
    start = nib.orientations.axcodes2ornt("RAS")
    return image.as_reoriented(nib.orientations.ornt_transform(start, wanted))


def write_nifti(path, image):
    nib.save(image, path)


def write_mgz(path, image):
    nib.save(nib.MGHImage(np.asarray(image.dataobj), image.affine), path)


def itk_image(image):
    """The same image in ITK's terms, worked out here: LPS, and the last axis first in memory."""
    result = sitk.GetImageFromArray(np.ascontiguousarray(np.asarray(image.dataobj).T))
    sides = np.linalg.norm(image.affine[:3, :3], axis=0)
    result.SetSpacing(sides.tolist())
    result.SetOrigin((FLIP * image.affine[:3, 3]).tolist())
    result.SetDirection((np.diag(FLIP) @ image.affine[:3, :3] / sides).ravel().tolist())
    return result


def write_itk(path, image):
    sitk.WriteImage(itk_image(image), str(path))


def write_dicom(path, image):
    write_series(itk_image(image), path)


# Guise: file name, writer, axes.
GUISES = {
    **{f"nifti-{axes}": ("a.nii.gz", write_nifti, axes) for axes in ("RAS", "LPS", "RAI", "PIR")},
    **{f"nifti-{axes}": ("a.nii", write_nifti, axes) for axes in ("SAL", "ILA", "ASR")},
    "mgz-LIA": ("a.mgz", write_mgz, "LIA"),
    "nrrd-RAS": ("a.nrrd", write_itk, "RAS"),
    "nrrd-SPR": ("a.nrrd", write_itk, "SPR"),
    "mha-LPS": ("a.mha", write_itk, "LPS"),
    "mhd-AIL": ("a.mhd", write_itk, "AIL"),
    # A series has its slices in a right-handed order.
    "dicom-LPS": ("series", write_dicom, "LPS"),
    "dicom-PIR": ("series", write_dicom, "PIL"),
}


def written(guise, folder, move=None):
    name, write, axes = GUISES[guise]
    write(folder / name, image_of(axes, move))
    return folder / name


def distances(points, others):
    return np.linalg.norm(points - others, axis=1)


@pytest.fixture(scope="module")
def expected(predictor, tmp_path_factory):
    """What is predicted of the head as it was made."""
    folder = tmp_path_factory.mktemp("head")
    return predictor.predict(written("nifti-RAS", folder)).positions_world


@pytest.mark.parametrize("move", [None, MOVE], ids=["straight", "oblique"])
@pytest.mark.parametrize("guise", GUISES)
def test_the_same_prediction_to_half_a_voxel(guise, move, predictor, expected, tmp_path):
    path = written(guise, tmp_path, move)
    grid = predictor.localizer.grid
    prediction = predictor.predict(path)
    back = np.eye(4) if move is None else np.linalg.inv(move)
    positions = nib.affines.apply_affine(back, prediction.positions_world)
    assert distances(positions, expected).max() < grid.spacing_mm / 2
    # The voxels that the network sees are the same, not only what it makes of them.
    intensity = preprocess(path, grid).intensity.numpy().astype(int)
    scaled = preprocess(written("nifti-RAS", tmp_path), grid).intensity.numpy().astype(int)
    assert np.abs(intensity - scaled).max() <= 2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_another_image_in_the_same_place_is_told_apart(axis, predictor, expected, tmp_path):
    """Otherwise the test above would say little: mirrored voxels move the prediction further."""
    write_nifti(tmp_path / "a.nii", image_of(volume=np.flip(HEAD.volume, axis).copy()))
    mirrored = predictor.predict(tmp_path / "a.nii").positions_world
    print(axis, distances(mirrored, expected))
    assert distances(mirrored, expected).max() > predictor.localizer.grid.spacing_mm / 2


@pytest.mark.parametrize("move", [None, MOVE], ids=["straight", "oblique"])
@pytest.mark.parametrize("guise", ["nifti-RAS", "nifti-PIR", "nifti-SAL", "nrrd-SPR", "mha-LPS"])
def test_written_markups_are_at_one_voxel_for_all_readers(guise, move, predictor, tmp_path):
    """Positions of the file to voxels: by SimpleITK in LPS, by NumPy from nibabel's affine in RAS."""
    path = written(guise, tmp_path, move)
    prediction = predictor.predict(path)
    write_landmarks(tmp_path / "a.mrk.json", prediction.landmarks)
    markup = json.loads((tmp_path / "a.mrk.json").read_text("utf-8"))["markups"][0]
    assert markup["coordinateSystem"] == "LPS"
    positions_lps = np.array([point["position"] for point in markup["controlPoints"]])
    itk = sitk.ReadImage(str(path))
    by_itk = [itk.TransformPhysicalPointToContinuousIndex(point) for point in positions_lps]
    affine = image_of(GUISES[guise][2], move).affine
    by_nibabel = nib.affines.apply_affine(np.linalg.inv(affine), positions_lps * FLIP)
    np.testing.assert_allclose(by_itk, by_nibabel, atol=1e-3)
    # The same voxel of the head, whatever the order of the axes.
    to_head = np.linalg.inv(image_of("RAS", move).affine) @ affine
    in_head = nib.affines.apply_affine(to_head, by_nibabel)
    world = nib.affines.apply_affine(image_of("RAS", move).affine, in_head)
    np.testing.assert_allclose(world, prediction.positions_world, atol=1e-3)


def as_markups(frame):
    def write(folder, world, _):
        positions = (world * FLIP if frame == "LPS" else world).tolist()
        pairs = zip(HEAD.names, positions, strict=True)
        points = [{"label": name, "position": position} for name, position in pairs]
        markup = {"type": "Fiducial", "coordinateSystem": frame, "controlPoints": points}
        (folder / "a.mrk.json").write_text(json.dumps({"markups": [markup]}))

    return write


def as_fcsv(frame):
    def write(folder, world, _):
        positions = world * FLIP if frame == "LPS" else world
        pairs = zip(HEAD.names, positions, strict=True)
        rows = [f"{name},{x},{y},{z},0,0,0,1,1,1,0,{name},," for name, (x, y, z) in pairs]
        head = f"# CoordinateSystem = {frame}\n# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label"
        lines = [f"{head},desc,associatedNodeID", *rows]
        (folder / "a.fcsv").write_text("\n".join(lines) + "\n")

    return write


def as_csv(frame):
    def write(folder, world, affine):
        positions = {
            "RAS": world,
            "LPS": world * FLIP,
            "voxel": nib.affines.apply_affine(np.linalg.inv(affine), world),
        }[frame]
        pairs = zip(HEAD.names, positions, strict=True)
        rows = [f"{name},{x},{y},{z},{frame}" for name, (x, y, z) in pairs]
        (folder / "a.csv").write_text("\n".join(["landmark,x,y,z,frame", *rows]) + "\n")

    return write


LANDMARK_GUISES = {
    "markups-LPS": as_markups("LPS"),
    "markups-RAS": as_markups("RAS"),
    "fcsv-LPS": as_fcsv("LPS"),
    "fcsv-RAS": as_fcsv("RAS"),
    "csv-LPS": as_csv("LPS"),
    "csv-RAS": as_csv("RAS"),
    "csv-voxel": as_csv("voxel"),
}


@pytest.mark.parametrize("guise", ["nifti-PIR", "nrrd-SPR", "dicom-LPS"])
@pytest.mark.parametrize("landmarks", LANDMARK_GUISES)
def test_the_same_training_positions(landmarks, guise, predictor, tmp_path):
    """Whatever frame the file says, and where the head lies: mm from the centre of the volume."""
    for folder in ("images", "landmarks"):
        (tmp_path / folder).mkdir()
    name, write, axes = GUISES[guise]
    image = image_of(axes, MOVE)
    write(tmp_path / "images" / name.replace("series", "a"), image)
    world = nib.affines.apply_affine(MOVE, HEAD.landmarks_world)
    LANDMARK_GUISES[landmarks](tmp_path / "landmarks", world, image.affine)
    (one,), failures = inspect_cases(find_cases(tmp_path))
    assert failures == {}
    annotated = annotate(one, HEAD.names, predictor.localizer.grid)
    in_head = nib.affines.apply_affine(np.linalg.inv(HEAD.affine), HEAD.landmarks_world)
    centred_mm = (in_head - (np.array(HEAD.volume.shape) - 1) / 2) * 3.0
    np.testing.assert_allclose(annotated.landmarks_mm.numpy(), centred_mm, atol=1e-3)

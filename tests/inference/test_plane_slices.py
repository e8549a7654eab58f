import shutil

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from evaluation.planes.test_slices import TO_LPS, image_of, pixel_places, plane_of
from matplotlib.image import imread
from nibabel.affines import apply_affine
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data import preprocessing
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.preprocessing import read_image
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.evaluation.planes.axes import LineFit
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.evaluation.planes.plane import fit_plane
from pin_lightning.evaluation.planes.slices import cut_slice
from pin_lightning.inference.plane_slices import (
    cut_slices,
    groups_of_run,
    write_slices,
)
from pin_lightning.inference.run import infer

GROUP = PlaneGroup("P", ("a", "b", "c"), LineFit(("a", "b")))
LANDMARKS = LandmarkSet.of(["a", "b", "c"], np.array([[0.0, 0, 1], [2, 0, 1], [0, 2, 1]]))
UP = np.array([0.0, 0.0, 9.0])


@pytest.fixture
def written(tmp_path):
    """A slice on disk, and what was written."""
    image = image_of()
    one = cut_slice(image, plane_of(image))
    write_slices(tmp_path / "out", "ANNA", {"P": one})
    return tmp_path / "out", one


def test_a_slice_is_a_nifti_of_one_layer_with_the_images_intensities_and_a_grey_png(written):
    folder, one = written
    assert sorted(path.name for path in folder.iterdir()) == ["ANNA_P.nii.gz", "ANNA_P.png"]
    image = nib.load(folder / "ANNA_P.nii.gz")
    assert image.shape == (*one.pixels.shape, 1)
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.get_fdata()[..., 0], np.nan_to_num(one.pixels, nan=0))
    np.testing.assert_allclose(image.affine, one.affine, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(coded=True)[0], one.affine, atol=1e-4)
    picture = imread(folder / "ANNA_P.png")
    np.testing.assert_array_equal((255 * picture).round(), one.picture)


def test_simpleitk_puts_its_pixels_where_they_are(written):
    folder, one = written
    image = sitk.ReadImage(str(folder / "ANNA_P.nii.gz"))
    places = pixel_places(one)
    for index in [(0, 0), (3, 0), (0, 4), tuple(np.array(one.pixels.shape) - 1)]:
        point = image.TransformIndexToPhysicalPoint((*map(int, index), 0))
        np.testing.assert_allclose(point * TO_LPS, places[index], atol=1e-4)


def save_cube(path):
    nib.save(nib.Nifti1Image(np.arange(27.0).reshape(3, 3, 3), np.eye(4)), path)
    return path


def test_slices_of_an_image_hold_the_planes_that_are_there(tmp_path, caplog):
    image = read_image(save_cube(tmp_path / "cube.nii.gz"))
    line = PlaneGroup("line", ("a", "b", "d"), LineFit(("a", "b")))
    far = PlaneGroup("far", ("a", "b", "e"), LineFit(("a", "b")))
    points = np.vstack([LANDMARKS.positions_world + UP, [4, 0, 10], [0, 5, 10]])
    landmarks = LandmarkSet.of("abcde", points)
    assert cut_slices("cube", image, LANDMARKS, [GROUP])["P"].pixels.shape == (3, 3)
    assert cut_slices("cube", image, landmarks, [line, far]) == {}
    assert caplog.messages == [
        "cube: no slice of plane line: its landmarks give none",
        "cube: no slice of plane far: it lies outside the image",
    ]


@pytest.fixture
def run_with_planes(short_run, tmp_path):
    """A run whose config names the phantom's planes, and one that it has no landmark of."""
    run = shutil.copytree(short_run, tmp_path / "run", ignore=shutil.ignore_patterns("figures"))
    config = OmegaConf.load(run / "config.yaml")
    config.data.planes = composed("data=phantom", "run_name=x", "run_dir=x").data.planes
    config.data.planes.none = {"landmarks": ["x", "y", "z"]}
    OmegaConf.save(config, run / "config.yaml")
    return run


def predict(run, folder, output, *settings):
    given = [f"run={run}", f"input={folder}", f"output={output}", "device=cpu", *settings]
    return infer(composed(*given, config_name="infer"))


@pytest.fixture
def volumes(tmp_path):
    """One head in other positions of the scanner."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, oblique in {"straight": 0.0, "oblique": 20.0}.items():
        phantom = make_phantom(5, (54, 35, 47), (3.0, 3.0, 3.0), oblique_degrees=oblique)
        nib.save(nib.Nifti1Image(phantom.volume, phantom.affine), folder / f"{name}.nii.gz")
    return folder


def test_a_volume_of_another_size_is_pointed_out(run_with_planes, volumes, tmp_path, caplog):
    image = nib.load(volumes / "straight.nii.gz")
    small = nib.Nifti1Image(image.get_fdata(), np.diag([1 / 3, 1 / 3, 1 / 3, 1]) @ image.affine)
    nib.save(small, volumes / "small.nii.gz")
    assert predict(run_with_planes, volumes, tmp_path / "out", "planes=false") == 0
    (warning,) = [one for one in caplog.messages if "as long as volumes in training" in one]
    assert warning.startswith("small: unlike the training: size: 0.33 times")


@pytest.mark.slow
def test_infer_puts_the_predicted_landmarks_on_their_slices(run_with_planes, volumes, tmp_path):
    output = tmp_path / "out"
    assert predict(run_with_planes, volumes, output) == 0
    slices = {f"{name}_{plane}" for name in ("straight", "oblique") for plane in ("TV", "TC")}
    for ending in (".nii.gz", ".png"):
        found = {path.name.removesuffix(ending) for path in output.glob(f"*{ending}")}
        assert found == slices
    for name in ("straight", "oblique"):
        predicted = read_landmarks(output / f"{name}.mrk.json")
        for group in groups_of_run(run_with_planes, predicted.names):
            image = nib.load(output / f"{name}_{group.name}.nii.gz")
            points = predicted.select(group.landmarks).positions_world
            ijk = apply_affine(np.linalg.inv(image.affine), points)
            plane = fit_plane(group, predicted.names, predicted.positions_world)
            np.testing.assert_allclose(ijk[:, 2] * 3, plane.from_world(points)[:, 2], atol=1e-3)
            np.testing.assert_allclose(ijk[:, 2].mean(), 0, atol=1e-3)
            assert (np.abs(ijk[:, 2]) < 3).all()
            assert (ijk[:, :2] > -0.5).all()
            assert (ijk[:, :2] < np.array(image.shape[:2]) - 0.5).all()


@pytest.mark.slow
def test_planes_can_be_left_out(run_with_planes, short_run, volumes, tmp_path):
    for number, (run, setting) in enumerate([(run_with_planes, "false"), (short_run, "true")]):
        output = tmp_path / str(number)
        assert predict(run, volumes, output, f"planes={setting}") == 0
        assert not [*output.glob("*.png"), *output.glob("*.nii.gz")]
    with pytest.raises(ValueError, match="planes=TV: give true or false"):
        predict(run_with_planes, volumes, tmp_path / "x", "planes=TV")


def test_the_planes_of_folds_are_those_of_the_first(run_with_planes, tmp_path):
    folds = tmp_path / "folds"
    shutil.copytree(run_with_planes, folds / "fold0")
    shutil.copytree(folds / "fold0", folds / "fold1")
    (folds / "folds.json").write_text('{"format_version": 1, "folds": 2}')
    names = composed("data=phantom", "run_name=x", "run_dir=x").data.planes.TC.landmarks
    assert [group.name for group in groups_of_run(folds, list(names))] == ["TC"]


def test_infer_reads_each_image_once_and_leaves_nothing_behind(
    run_with_planes, volumes, tmp_path, monkeypatch
):
    """For its prediction, its slices and its pictures on the review page."""
    read, read_voxels = [], preprocessing.read_voxels
    monkeypatch.setattr(
        preprocessing, "read_voxels", lambda path: read.append(path.name) or read_voxels(path)
    )
    assert predict(run_with_planes, volumes, tmp_path / "out") == 0
    assert sorted(read) == ["oblique.nii.gz", "straight.nii.gz"]
    assert (tmp_path / "out" / "review.html").read_text("utf-8").count("data:image/png") == 6
    names = {path.name for path in (tmp_path / "out").iterdir()}
    each = {".mrk.json", "_TV.nii.gz", "_TV.png", "_TC.nii.gz", "_TC.png"}
    files = {f"{name}{ending}" for name in ("straight", "oblique") for ending in each}
    tables = {"landmarks.csv", "failed.csv", "review.html"}
    assert names == {*tables, "prediction.json", "records"} | files

"""The parts of the example that reads `localizer.onnx` without this package, beside the package."""

import importlib.util
import json

import nibabel as nib
import numpy as np
import pytest
from hand_made_onnx import GRID, stepwise

from conftest import REPOSITORY
from pin_lightning.common.geometry import Grid, mm_to_world
from pin_lightning.data.preprocessing import preprocess
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.deployment.metadata import metadata
from pin_lightning.evaluation.conformal import ConformalSettings, calibrate

spec = importlib.util.spec_from_file_location(
    "onnx_landmarks", REPOSITORY / "examples" / "onnx_landmarks.py"
)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)


@pytest.fixture
def about(monkeypatch):
    """Metadata of a file for volumes of the hand-made model."""
    from small_localizers import build

    localizer = build("identity")
    localizer.grid = GRID
    return metadata(["CSP"], [localizer])


def saved(path, oblique=0.0, axes="RAS", sides=(3.0, 3.0, 3.0), change=lambda voxels: voxels):
    phantom = make_phantom(5, (27, 18, 24), sides, oblique_degrees=oblique)
    image = nib.Nifti1Image(change(phantom.volume), phantom.affine)
    nib.save(image.as_reoriented(nib.orientations.axcodes2ornt(axes)), path)
    return path


VOLUMES = {
    "plain": {},
    "oblique": {"oblique": 25.0, "axes": "PSL"},
    "smoothed": {"axes": "LPI", "sides": (1.0, 2.0, 4.0)},  # along the first axis
    "mask": {"change": lambda voxels: (voxels > voxels.mean()).astype(np.uint8)},
    "background": {"change": lambda voxels: voxels * (voxels > np.percentile(voxels, 70))},
    "4d float": {"change": lambda voxels: (voxels.astype(np.float32) / 3 - 20)[..., None]},
}


@pytest.mark.parametrize("settings", VOLUMES.values(), ids=VOLUMES)
def test_a_working_volume_is_that_of_the_package(settings, about, tmp_path):
    path = saved(tmp_path / "a.nii", **settings)
    grid = Grid((30, 17, 20), 2.5)
    expected = preprocess(path, grid)
    voxels, affine = example.read_image(path)
    to_world = example.grid_affine(affine, voxels.shape, grid.size, grid.spacing_mm)
    np.testing.assert_allclose(to_world, expected.affine, atol=1e-9)
    given = (voxels, affine, to_world, grid.size, grid.spacing_mm)
    found = example.working_volume(*given, json.loads(about["preprocessing"]))
    difference = np.abs(found.astype(int) - expected.intensity.numpy())
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    assert len(np.unique(found)) > 1


def test_landmarks_come_in_the_coordinates_of_the_image(about, tmp_path):
    path = saved(tmp_path / "a.nii", oblique=25.0, axes="PSL")
    (tmp_path / "localizer.onnx").write_bytes(stepwise(shift=7.0, metadata=about))
    found = example.Localizer(str(tmp_path / "localizer.onnx")).find(str(path))
    volume = preprocess(path, GRID)
    where_mm = 7.0 + 10 * np.floor(volume.intensity[0, 0, 0].item() / 10)
    expected = mm_to_world(np.full((1, 3), where_mm), volume.affine, GRID)
    np.testing.assert_allclose(found.positions_world, expected, atol=1e-4)
    assert found.names == ["CSP"]
    assert found.radius_mm is None


def test_radii_are_those_of_the_package():
    from small_localizers import NAMES, build

    generator = np.random.default_rng(0)
    errors, spread = generator.random((12, 3)), generator.random((12, 3))
    bars = calibrate(errors, spread, NAMES, ConformalSettings(coverage=0.8))
    entry = json.loads(metadata(NAMES, [build("pca")], bars)["error_bars"])
    np.testing.assert_allclose(example.radii(spread[0], entry), bars.radius_mm(spread[0]))
    assert example.radii(spread[0], None) is None


@pytest.mark.parametrize("content", [b"no model", None])
def test_a_file_that_is_no_localizer_is_named(content, tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(stepwise() if content is None else content)  # a model that says nothing
    with pytest.raises(ValueError, match=r"a\.onnx: (is no localizer|cannot be read as an ONNX)"):
        example.Localizer(str(path))


def test_an_image_without_contrast_is_named(tmp_path):
    path = saved(tmp_path / "flat.nii", change=lambda voxels: 0 * voxels)
    with pytest.raises(ValueError, match=r"flat\.nii: is no 3D image of finite numbers"):
        example.read_image(str(path))

"""The parts of the example that reads `localizer.onnx` without this package, beside the package."""

import json

import nibabel as nib
import numpy as np
import onnx
import onnx_landmarks as example
import pytest
import torch
from hand_made_onnx import GRID, stepwise
from programs import run
from scipy import ndimage
from small_localizers import NAMES, build

from conftest import composed
from pin_lightning.common.geometry import Grid, mm_to_world
from pin_lightning.data.images.reading import read_header
from pin_lightning.data.intensity_windows import robust_window, without_metal
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.preprocessing import preprocess
from pin_lightning.data.scan_levels import scan_levels
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.deployment.metadata import metadata
from pin_lightning.evaluation.conformal import ConformalSettings, calibrate
from pin_lightning.method.ensemble import merge
from pin_lightning.method.trajectory import Trajectory
from pin_lightning.runs.predictor import Predictor
from pin_lightning.training.run import train


@pytest.fixture
def about(monkeypatch):
    """Metadata of a file for volumes of the hand-made model."""
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
    low_high = example.window(voxels, json.loads(about["preprocessing"]))
    found = example.working_volume(voxels, affine, to_world, grid.size, low_high)
    difference = np.abs(found.astype(int) - expected.intensity.numpy())
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    assert len(np.unique(found)) > 1


@pytest.mark.parametrize("settings", VOLUMES.values(), ids=VOLUMES)
def test_whole_scans_at_coarse_spacings_are_those_of_the_package(settings, tmp_path):
    voxels, affine = example.read_image(saved(tmp_path / "a.nii", **settings))
    expected = scan_levels(voxels, affine, (10.0, 180.0), (5.0, 11.0))
    found = example.scan_levels(voxels, affine, (10.0, 180.0), (5.0, 11.0))
    for one, other in zip(found, expected.levels, strict=True):
        difference = np.abs(one.astype(int) - other.numpy())
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-2
    to_world = example.grid_affine(affine, voxels.shape, (1, 1, 1), 1.0)
    np.testing.assert_allclose(to_world, expected.to_world, atol=1e-9)


def with_metal(voxels, times=100):
    bright = int(times * int(voxels.max()))
    return np.where(np.indices(voxels.shape).sum(axis=0) % 97 == 0, bright, voxels.astype(np.int32))


WINDOWED = {
    **{name: one.get("change", lambda voxels: voxels) for name, one in VOLUMES.items()},
    "padded": lambda voxels: np.pad(voxels.astype(np.int16), 9, constant_values=-3024),
    "resampled": lambda voxels: ndimage.zoom(
        np.pad(voxels.astype(np.float32), 6, constant_values=-3024), 1.3, order=1
    ),
    "metal": with_metal,
    "metal hardly brighter": lambda voxels: with_metal(voxels, 1.3),
    "large": lambda voxels: np.tile(voxels, (6, 5, 4)),
}


@pytest.mark.parametrize("change", WINDOWED.values(), ids=WINDOWED)
def test_the_robust_window_is_that_of_the_package(change):
    voxels = np.squeeze(change(make_phantom(5, (27, 48, 44), (3.0, 3.0, 3.0)).volume))
    found = example.window(voxels, {"window": "robust"})
    assert found == robust_window(voxels)
    metal = voxels.copy()
    metal.ravel()[:5] = np.iinfo(voxels.dtype).max if voxels.dtype.kind in "iu" else 1e9
    seen = example.without_metal(metal, found, {"window": "robust"})
    np.testing.assert_array_equal(seen, without_metal(metal, found))
    assert example.without_metal(metal, found, {"window": "percentiles"}) is metal


def test_a_window_of_another_rule_is_named():
    with pytest.raises(ValueError, match="window=of tomorrow: is a rule that this script"):
        example.window(np.eye(3), {"window": "of tomorrow"})


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
    generator = np.random.default_rng(0)
    errors, spread = generator.random((12, 3)), generator.random((12, 3))
    bars = calibrate(errors, spread, NAMES, ConformalSettings(coverage=0.8))
    entry = json.loads(metadata(NAMES, [build("pca")], bars)["error_bars"])
    np.testing.assert_allclose(example.radii(spread[0], entry), bars.radius_mm(spread[0]))
    assert example.radii(spread[0], None) is None


def test_how_far_apart_starts_end_is_that_of_the_package(about, tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    ends_mm = torch.randn(3, 1, 1, 5, 4, 3, generator=generator)  # of the starts of three folds

    def path(ends):
        means = ends[:, -1].mean(dim=1)
        spread = (ends[:, -1] - means[:, None]).square().sum(-1).mean(dim=1).sqrt()
        return Trajectory(ends, torch.ones(1, 5, dtype=torch.long), means, spread, spread)

    together = merge([path(one) for one in ends_mm])
    found = example.apart_mm(together.landmarks_mm[0, -1].numpy(), 3)
    assert found == pytest.approx(float(together.apart_mm), rel=1e-5)
    (tmp_path / "localizer.onnx").write_bytes(stepwise(metadata={**about, "most_apart_mm": "-1"}))
    found = example.Localizer(str(tmp_path / "localizer.onnx")).find(str(saved(tmp_path / "a.nii")))
    assert found.doubts == ["starts disagree"]
    example.write_markups(tmp_path / "a.mrk.json", found)
    assert "starts disagree" in (tmp_path / "a.mrk.json").read_text("utf-8")


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


def in_microns(image):
    image.header.set_xyzt_units("micron")


def without_place(image):
    image.set_sform(None, 0)
    image.set_qform(None, 0)


def in_two_places(image):
    image.set_qform(image.affine, 1)
    image.set_sform(image.affine + np.eye(4, k=3) * 4, 1)  # 4 mm apart, of voxels of 3


@pytest.mark.parametrize("change", [in_microns, without_place, in_two_places])
def test_an_image_whose_place_is_in_doubt_is_refused_as_by_the_package(change, tmp_path):
    path = saved(tmp_path / "a.nii")
    image = nib.load(path)
    change(image)
    nib.save(image, tmp_path / "b.nii")
    with pytest.raises(ValueError, match=r"b\.nii: ") as refused:
        read_header(tmp_path / "b.nii")
    with pytest.raises(ValueError, match=r"b\.nii: ") as by_example:
        example.read_image(str(tmp_path / "b.nii"))
    words = [str(one.value).replace("microns", "micron").split() for one in (refused, by_example)]
    assert len({*words[0]} & {*words[1]}) > 0.7 * len(words[0])


@pytest.mark.parametrize("frames", [(1,), (1, 1)])
def test_one_frame_is_a_volume_and_more_are_not(frames, tmp_path):
    path = saved(tmp_path / "a.nii", change=lambda voxels: voxels.reshape(*voxels.shape, *frames))
    assert example.read_image(str(path))[0].ndim == 3
    twice = saved(tmp_path / "b.nii", change=lambda voxels: np.stack([voxels, voxels], axis=-1))
    with pytest.raises(ValueError, match=r"b\.nii: is no 3D image"):
        example.read_image(str(twice))


def test_what_lies_outside_the_scan_is_not_guessed(about, tmp_path, capsys):
    path = saved(tmp_path / "a.nii")
    (tmp_path / "localizer.onnx").write_bytes(stepwise(shift=500.0, metadata=about))
    found = example.Localizer(str(tmp_path / "localizer.onnx")).find(str(path))
    assert found.outside.tolist() == [True]
    example.print_table(found)
    assert capsys.readouterr().out.splitlines()[1].startswith("CSP,,,,")
    example.write_markups(tmp_path / "a.mrk.json", found)
    (point,) = read_landmarks(tmp_path / "a.mrk.json").positions_world
    assert np.isnan(point).all()
    text = (tmp_path / "a.mrk.json").read_text("utf-8")
    assert '"missing"' in text
    assert "outside the scan" in text


def posed(tmp_path, poses):
    """The files of a localizer in the frame of the anatomy, without those of the pose."""
    localizer = build("identity")
    localizer.grid = GRID
    entries = metadata(["CSP"], [localizer], None, "robust", poses)
    (tmp_path / "localizer.onnx").write_bytes(stepwise(metadata=entries))
    return str(tmp_path / "localizer.onnx")


def test_a_localizer_of_an_anatomical_frame_is_not_used_without_its_pose(tmp_path):
    with pytest.raises(ValueError, match=r"pose\.onnx: is missing; it finds the frame"):
        example.Localizer(posed(tmp_path, ["pose.onnx"]))
    (tmp_path / "pose.onnx").write_bytes(stepwise())
    with pytest.raises(ValueError, match=r"pose\.onnx: is no pose\.onnx of format_version 3"):
        example.Localizer(posed(tmp_path, ["pose.onnx"]))


def test_a_frame_that_no_file_finds_is_refused(tmp_path):
    path = posed(tmp_path, ["pose.onnx"])
    model = onnx.load(path)
    entries = {one.key: one.value for one in model.metadata_props if one.key != "poses"}
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, path)
    with pytest.raises(ValueError, match="names no file that finds the frame"):
        example.Localizer(path)


@pytest.fixture(scope="module")
def posed_run(short_settings, tmp_path_factory):
    """A run that finds the pose first, trained for seconds, and its files."""
    run_dir = tmp_path_factory.mktemp("runs") / "posed"
    pose = ["pose=find", "pose.steps=200", "pose.calibration_folds=0", "pose.patch_side=17"]
    train(composed(*short_settings, *pose), run_dir)
    # In a process of its own: no type checks of what is traced.
    return run_dir, run("-m", "pin_lightning.export", run_dir, f"output={run_dir}/für ONNX")


@pytest.mark.slow
def test_a_scan_in_any_orientation_gives_the_landmarks_of_the_package(posed_run, tmp_path):
    run_dir, done = posed_run
    assert done.returncode == 0, done.stderr
    assert "pose.onnx: steps at most" in done.stdout
    names = [path.name for path in sorted((run_dir / "für ONNX").iterdir())]
    assert names == ["localizer.onnx", "network.onnx", "pose.onnx"]
    predictor = Predictor.load(run_dir, "cpu")
    predictor.localizer.set_dtype(torch.float32)  # as the files compute
    predictor.locator.ensemble.members[0].network_dtype = torch.float32
    localizer = example.Localizer(str(run_dir / "für ONNX" / "localizer.onnx"))
    phantom = make_phantom(78, (50, 30, 47), (3.0, 3.5, 2.5), oblique_degrees=20.0)
    padded = np.pad(phantom.volume, ((0, 12), (6, 0), (3, 9)))
    lying = np.rot90(padded, axes=(1, 2))  # the voxels alone: the header does not know
    for number, voxels in enumerate((phantom.volume, lying)):
        path = tmp_path / f"{number}.nii"
        nib.save(nib.Nifti1Image(np.ascontiguousarray(voxels), phantom.affine), path)
        found, expected = localizer.find(str(path)), predictor.predict(path)
        np.testing.assert_allclose(found.positions_world, expected.positions_world, atol=0.03)
        np.testing.assert_allclose(found.spread_mm, expected.spread_mm, atol=0.03)
        assert found.pose.score == pytest.approx(expected.pose.found.score, abs=1e-3)
        assert found.pose.lead == pytest.approx(expected.pose.found.lead, abs=1e-3)
        assert bool(found.doubts) == expected.pose.uncertain

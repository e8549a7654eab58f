"""The command as a user types it, and its files in a program without PyTorch."""

import csv
import io
import json

import nibabel as nib
import numpy as np
import onnx
import pytest
from programs import run

from conftest import REPOSITORY, composed
from pin_lightning.cli.tasks import one_line_errors
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.deployment.writing import export
from pin_lightning.runs.model import load_localizer
from pin_lightning.runs.predictor import Predictor

SCRIPT = REPOSITORY / "examples" / "onnx_landmarks.py"
BLOCKED = ("torch", "lightning", "pytorch_lightning", "pin_lightning", "torchio", "SimpleITK")
# Refuses to import what a program without PyTorch does not have, then runs the script.
WITHOUT_PYTORCH = f"""
import os, runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED}:
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Blocked())
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])  # as for a script
runpy.run_path(sys.argv[0], run_name="__main__")
assert not [one for one in sys.modules if one.split(".")[0] in {BLOCKED}]
"""


def script(*arguments, cwd):
    return run("-c", WITHOUT_PYTORCH, SCRIPT, *arguments, cwd=cwd)


def test_a_folder_that_is_no_run_ends_in_one_line_and_leaves_nothing(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        one_line_errors(export)(composed(f"run={tmp_path}", config_name="export"))
    said = capsys.readouterr().err
    assert said.startswith(f"error: run={tmp_path}: has no run.json; give a folder")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """An upright volume, and one that is oblique, coarse, flipped, cropped and of other numbers."""
    folder = tmp_path_factory.mktemp("to localise")
    phantom = make_phantom(77, (54, 35, 47), (3.0, 3.0, 3.0))
    nib.save(nib.Nifti1Image(phantom.volume, phantom.affine), folder / "upright.nii.gz")
    phantom = make_phantom(78, (50, 30, 47), (3.0, 3.5, 2.5), oblique_degrees=20.0)
    image = nib.Nifti1Image(phantom.volume.astype(np.int16) * 7 - 300, phantom.affine)
    flipped = image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nib.save(flipped, folder / "oblique.nii")
    return folder


@pytest.fixture(scope="module")
def exported(short_run, tmp_path_factory):
    """One real export, by the command as it is documented, checked on the run's mean volume."""
    output = tmp_path_factory.mktemp("exported") / "für ONNX"
    return run("-m", "pin_lightning.export", short_run, f"output={output}"), output


@pytest.mark.slow
def test_the_command_says_how_well_the_files_agree(exported, short_run):
    done, output = exported
    assert done.returncode == 0, done.stderr
    assert "of the largest output from PyTorch" in done.stdout
    assert "from those of PyTorch, in 3 volumes" in done.stdout
    assert "seconds per volume, " in done.stdout
    assert "onnx_ir" not in done.stdout + done.stderr
    assert sorted(path.name for path in output.iterdir()) == ["localizer.onnx", "network.onnx"]
    assert (short_run / "mean_volume.nii.gz").is_file()  # on which they were compared
    record = json.loads((short_run / "run.json").read_text("utf-8"))
    for path in output.iterdir():
        entries = {one.key: json.loads(one.value) for one in onnx.load(path).metadata_props}
        assert entries["landmarks"] == record["names"]
        assert entries["grid"] == record["grid"]
    modes = np.array(entries["localizers"][0]["shape_model"]["tensors"]["modes_"])
    shape_model = load_localizer(short_run)[0].shape_model
    np.testing.assert_array_equal(modes.astype(np.float32), shape_model.modes_)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["upright.nii.gz", "oblique.nii"])
def test_onnx_runtime_alone_finds_what_infer_finds(name, exported, short_run, volumes, tmp_path):
    _, output = exported
    arguments = [output / "localizer.onnx", volumes / name, "--markups", "found.mrk.json"]
    done = script(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    predictor = Predictor.load(short_run, "cpu")
    expected = predictor.predict(volumes / name)
    assert [row["landmark"] for row in rows] == list(expected.names)
    found = np.array([[float(row[axis]) for axis in "xyz"] for row in rows])
    # A hundredth of a voxel, but for a start that rounding sends elsewhere.
    np.testing.assert_allclose(found, expected.positions_world, atol=0.03)
    spread = [float(row["spread_mm"]) for row in rows]
    np.testing.assert_allclose(spread, expected.spread_mm, atol=0.03)
    written = read_landmarks(tmp_path / "found.mrk.json")
    assert written.names == expected.names
    np.testing.assert_allclose(written.positions_world, found, atol=1e-3)

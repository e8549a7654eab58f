"""The commands as a user types them, in processes of their own."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from programs import run

from pin_lightning.data.sources.phantom import make_phantom

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Two volumes, one of them oblique."""
    folder = tmp_path_factory.mktemp("new volumes")
    for name, oblique in {"straight": 0.0, "oblique": 20.0}.items():
        phantom = make_phantom(77, (54, 35, 47), (3.0, 3.0, 3.0), oblique_degrees=oblique)
        nib.save(nib.Nifti1Image(phantom.volume, phantom.affine), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def inferred(short_run, volumes, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "predictions"
    done = run("infer.py", f"run={short_run}", f"input='{volumes}/*.nii.gz'", f"output={output}")
    assert done.returncode == 0, done.stderr
    return output


def test_infer_writes_one_csv_for_all(inferred):
    with (inferred / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["volume"] for row in rows] == 10 * ["oblique"] + 10 * ["straight"]
    markups = json.loads((inferred / "oblique.mrk.json").read_text("utf-8"))["markups"][0]
    assert markups["coordinateSystem"] == "LPS"
    for row, point in zip(rows, markups["controlPoints"], strict=False):
        assert row["landmark"] == point["label"]
        ras = np.array([float(row[axis]) for axis in "xyz"])
        np.testing.assert_allclose(point["position"], ras * [-1, -1, 1], atol=1e-3)
        assert float(row["spread_mm"]) > 0


def test_markups_lie_where_simpleitk_puts_the_same_voxels(inferred, volumes):
    """An independent reader of the header takes world positions back to the same voxels."""
    voxels = {}
    for name in ("straight", "oblique"):
        image = sitk.ReadImage(str(volumes / f"{name}.nii.gz"))
        markups = json.loads((inferred / f"{name}.mrk.json").read_text("utf-8"))["markups"][0]
        positions = [point["position"] for point in markups["controlPoints"]]
        voxels[name] = np.array(
            [image.TransformPhysicalPointToContinuousIndex(point) for point in positions]
        )
    # The same head on the same grid: only its affine differs, so the voxels agree.
    np.testing.assert_allclose(voxels["straight"], voxels["oblique"], atol=0.05)

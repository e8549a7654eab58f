"""Every layout of a data set gives the same cases: the phantoms, written in each of them."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_series
from hydra.utils import instantiate
from nibabel.affines import apply_affine

from conftest import composed
from pin_lightning.data.images.reading import read_header
from pin_lightning.data.inspection import inspect_cases
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.sources.phantom import phantom_cases
from pin_lightning.data.splits import split_cases


def in_folder(root, cases):
    for number, (name, image, landmarks) in enumerate(cases):
        suffix = (".mrk.json", ".fcsv", ".csv")[number % 3]
        put(image, root / "images" / f"{name}.nii.gz")
        write_landmarks(root / "landmarks" / f"{name}{suffix}", landmarks)


def in_table(root, cases):
    rows = ["case,landmark,x_ras,y_ras,z_ras"]
    for name, image, landmarks in cases:
        put(image, root / "images" / f"{name}.nii.gz")
        for landmark, (x, y, z) in zip(landmarks.names, landmarks.positions_world, strict=True):
            rows.append(f"{name},{landmark},{x},{y},{z}")
    (root / "landmarks.csv").write_text("\n".join(rows))


def in_wide_table(root, cases):
    columns = [f"{name}_{axis}" for name in cases[0][2].names for axis in "xyz"]
    rows = [",".join(["case", "frame", *columns])]
    for name, image, landmarks in cases:
        put(image, root / "images" / f"{name}.nii.gz")
        rows.append(",".join([name, "RAS", *map(str, landmarks.positions_world.ravel())]))
    (root / "landmarks.csv").write_text("\n".join(rows))


def in_pin(root, cases):
    (root / "Landmarks").mkdir()
    for name, image, landmarks in cases:
        put(image, root / "Images" / f"{name}.nii.gz")
        positions = apply_affine(np.linalg.inv(read_header(image)[1]), landmarks.positions_world)
        np.savetxt(root / "Landmarks" / f"{name}_ps.txt", positions)
    names = [name for name, _, _ in cases]
    (root / "list_train.txt").write_text("\n".join(names[:3]) + "\n")
    (root / "list_test.txt").write_text("\n".join(names[3:]) + "\n")


def in_bids(root, cases):
    for number, (_, image, landmarks) in enumerate(cases):
        scan = f"sub-{number:02d}"
        put(image, root / scan / "anat" / f"{scan}_T1w.nii.gz")
        folder = root / "derivatives" / "afids" / scan / "anat"
        write_landmarks(folder / f"{scan}_space-T1w_desc-rater_afids.fcsv", landmarks)


def in_dicom(root, cases):
    for name, image, landmarks in cases:
        write_series(sitk.ReadImage(str(image)), root / "images" / name)
        write_landmarks(root / "landmarks" / f"{name}.mrk.json", landmarks)


def put(image, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(image, target)


LAYOUTS = {
    "folder": (in_folder, []),
    "csv": (in_table, []),
    "csv-wide": (in_wide_table, []),
    "pin": (in_pin, ["data.names=[{names}]"]),
    "bids": (in_bids, []),
    "folder-dicom": (in_dicom, []),
}


@pytest.fixture(scope="module")
def cases(phantom_root):
    """Four phantoms."""
    return [(case.name, case.image, case.read()) for case in find_cases(phantom_root)[:4]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_landmarks_on_the_same_images(layout, cases, tmp_path):
    write, settings = LAYOUTS[layout]
    root = tmp_path / "a data sét"
    root.mkdir()
    write(root, cases)
    names = ",".join(cases[0][2].names)
    settings = [setting.format(names=names) for setting in settings]
    data = composed(f"data={layout.split('-')[0]}", f"data.root={root}", *settings).data
    found, failures = inspect_cases(instantiate(data.source))
    assert failures == {}
    assert len(found) == len(cases)
    for one, (name, image, landmarks) in zip(found, cases, strict=True):
        assert one.case.name.startswith("sub-") if layout == "bids" else one.case.name == name
        assert one.landmarks.names == landmarks.names
        apart = one.landmarks.positions_world - landmarks.positions_world
        assert np.abs(apart).max() < 1e-3
        shape, affine = read_header(image)
        assert one.header[0] == shape
        np.testing.assert_allclose(one.header[1], affine, atol=1e-4)


def test_the_lists_of_the_pin_layout_are_its_split(cases, tmp_path):
    in_pin(tmp_path, cases)
    data = composed("data=pin", f"data.root={tmp_path}", "data.split.val_fraction=0").data
    found = instantiate(data.source)
    split = split_cases({case.name: case.subject for case in found}, **data.split)
    assert split.train == tuple(case.name for case in found[:3])
    assert split.test == (found[3].name,)


def test_phantoms_are_made_where_there_are_none(tmp_path):
    settings = ["data.source.num_cases=2", "data.source.size=[20,20,20]"]
    config = composed("data=phantom", f"data.root={tmp_path}/new", *settings)
    found = instantiate(config.data.source, spacing_mm=[8, 8, 8])
    assert [case.name for case in found] == ["head_000", "head_001"]
    again = phantom_cases(tmp_path / "new", 2, [20] * 3, [8] * 3)
    assert [case.image for case in again] == [case.image for case in found]

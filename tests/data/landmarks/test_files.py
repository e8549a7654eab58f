import json
import tempfile
import unicodedata
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import (
    LANDMARK_SUFFIXES,
    read_landmarks,
    read_table,
    write_landmarks,
)
from pin_lightning.data.landmarks.voxel_text import read_voxel_rows

AFFINE = np.array([[0.0, -2, 0, 10], [0.5, 0, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])


@pytest.fixture
def image(tmp_path):
    """An image whose first axis points up front and whose second points left."""
    path = tmp_path / "A scan.nii.gz"
    nifti = nib.Nifti1Image(np.zeros((4, 5, 6), dtype=np.uint8), AFFINE)
    nifti.set_qform(AFFINE, code=1)
    nifti.to_filename(path)
    return path


def markups(system):
    point = {"label": "nose", "position": [1.0, 2.0, 3.0]}
    markup = {"type": "Fiducial", "coordinateSystem": system, "controlPoints": [point]}
    return json.dumps({"markups": [markup]}), "case.mrk.json"


def fcsv(system):
    line = "" if system is None else f"# CoordinateSystem = {system}\n"
    return f"{line}# columns = label,x,y,z\nnose,1,2,3\n", "case.fcsv"


def csv(system):
    line = "" if system is None else f"# frame = {system}\n"
    return f"{line}landmark,x,y,z\nnose,1,2,3\n", "case.csv"


WORLD = {"RAS": [1, 2, 3], "LPS": [-1, -2, 3], "voxel": [10 - 2 * 2, -20 + 0.5 * 1, 30 + 3 * 3]}
SETTLED = [
    (file, said, setting)
    for file in (markups, fcsv, csv)
    for said in (None, "RAS", "LPS", "voxel")
    for setting in (None, "RAS", "LPS", "voxel")
    if said != "voxel" or file is csv
]


@pytest.mark.parametrize(("file", "said", "setting"), SETTLED)
def test_frame_is_that_of_the_file_or_of_the_setting(save, image, file, said, setting):
    path = save(*file(said))
    if said is None and setting is None:
        with pytest.raises(ValueError, match=r"does not say .* give data\.frame=RAS, LPS or voxel"):
            read_landmarks(path, setting, image)
    elif None not in (said, setting) and said != setting:
        with refused(path, f"says {said}, but data.frame={setting}"):
            read_landmarks(path, setting, image)
    else:
        landmarks = read_landmarks(path, setting, image)
        assert landmarks.names == ("nose",)
        assert landmarks.positions_world.tolist() == [WORLD[said or setting]]


@pytest.mark.parametrize("setting", ["lps", "", "ijk"])
def test_an_unknown_frame_is_refused(save, setting):
    for read in (read_landmarks, read_table):
        with pytest.raises(ValueError, match=f"data.frame={setting}: .* RAS, LPS, voxel"):
            read(save(*csv(None)), setting)


def test_voxel_indices_need_the_image(save):
    with pytest.raises(ValueError, match=r"case\.csv: voxel indices need their image"):
        read_landmarks(save(*csv("voxel")))


def oblique_image(path):
    """An image with rotated axes; its ITK description is the reference."""
    transform = sitk.Euler3DTransform()
    transform.SetRotation(0.2, -0.3, 0.4)
    image = sitk.Image([5, 6, 7], sitk.sitkUInt8)
    image.SetSpacing([0.5, 0.75, 2.0])
    image.SetOrigin([-11.0, 12.0, 13.5])
    image.SetDirection(transform.GetMatrix())
    sitk.WriteImage(image, str(path))
    return image


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_voxel_indices_agree_with_itk_and_nibabel(tmp_path, suffix):
    path, indices = tmp_path / f"A{suffix}", np.array([[0, 0, 0], [1.25, 2.5, 3.75], [-1, 9, 6]])
    image = oblique_image(path)
    text = tmp_path / "A_ps.txt"
    np.savetxt(text, indices)
    positions_lps = [image.TransformContinuousIndexToPhysicalPoint(row) for row in indices.tolist()]
    landmarks = read_voxel_rows(text, ["a", "b", "c"], ()).to_world(text, "voxel", path)
    np.testing.assert_allclose(
        landmarks.positions_world, np.array(positions_lps) * [-1, -1, 1], atol=1e-4
    )
    if suffix == ".nii.gz":
        by_nibabel = nib.affines.apply_affine(nib.load(path).affine, indices)
        np.testing.assert_allclose(landmarks.positions_world, by_nibabel, atol=1e-9)


def test_voxel_text_names_and_unwanted_lines(tmp_path, image):
    path = tmp_path / "A_ps.txt"
    path.write_text("1 2 3\n9 9 9\nnan nan nan\n")
    landmarks = read_voxel_rows(path, ["nose", "chin"], [1]).to_world(path, "voxel", image)
    assert landmarks.names == ("nose", "chin")
    assert landmarks.defined.tolist() == [True, False]
    assert landmarks.positions_world[0].tolist() == WORLD["voxel"]


TABLE = "case,patient,landmark,i,j,k\nA scan.nii.gz,p1,nose,1,2,3\nB,,nose,0,0,0\n"


def test_table_of_voxel_indices_takes_the_image_of_each_case(save, image, tmp_path):
    other = tmp_path / "B.mha"
    itk = oblique_image(other)
    cases, subjects = read_table(save(TABLE), images={"A scan": image, "B": other})
    assert cases["A scan"].positions_world.tolist() == [WORLD["voxel"]]
    np.testing.assert_allclose(
        cases["B"].positions_world, [np.array(itk.GetOrigin()) * [-1, -1, 1]], atol=1e-9
    )
    assert subjects == {"A scan": "p1"}


def test_table_of_voxel_indices_names_the_case_without_image(save, image):
    with pytest.raises(ValueError, match="of case B need their image"):
        read_table(save(TABLE), images={"A scan": image})


def test_table_frame_comes_from_the_setting(save):
    path = save("case,landmark,x,y,z\nA,nose,1,2,3\nB,nose,,,\n")
    cases, _ = read_table(path, "LPS")
    assert cases["A"].positions_world.tolist() == [WORLD["LPS"]]
    assert cases["B"].defined.tolist() == [False]
    with pytest.raises(ValueError, match="does not say"):
        read_table(path)


def test_table_must_name_its_cases(save):
    with pytest.raises(ValueError, match="no column that names the case"):
        read_table(save(*csv("RAS")))


ONE_CASE = {
    "long": "landmark,x_ras,y_ras,z_ras\nnose,1,2,3\n",
    "long-with-name": "name,x_ras,y_ras,z_ras\nnose,1,2,3\n",
    "long-with-case": "case,landmark,x_ras,y_ras,z_ras\nA,nose,1,2,3\n",
    "wide": "frame,nose_x,nose_y,nose_z\nRAS,1,2,3\n",
}


@pytest.mark.parametrize("text", ONE_CASE.values(), ids=ONE_CASE)
def test_csv_of_one_case(save, text):
    landmarks = read_landmarks(save(text, "A.csv"))
    assert landmarks.names == ("nose",)
    assert landmarks.positions_world.tolist() == [[1, 2, 3]]


def test_csv_of_another_case_that_has_a_file_too(save):
    text = "case,landmark,x,y,z,frame\nB,nose,1,2,3,RAS\n"
    assert read_landmarks(save(text, "A.csv")).names == ("nose",)  # B is another name of A
    long = text.replace("\nB,", f"\n{'B' * 300},")
    assert read_landmarks(save(long, "A.csv")).names == ("nose",)
    save(text, "B.csv")
    with pytest.raises(ValueError, match=r"A\.csv: its landmarks are those of case B, which has"):
        read_landmarks(save(text, "A.csv"))


def test_csv_of_many_cases_is_not_one_case(save):
    with pytest.raises(ValueError, match=r"holds 2 cases \(A scan, B.*data=csv"):
        read_landmarks(save(TABLE, "all.csv"))


@pytest.mark.parametrize("suffix", LANDMARK_SUFFIXES)
def test_files_that_cannot_be_read_are_named(tmp_path, suffix):
    path = tmp_path / f"Müller 1{suffix}"
    for content, message in ((None, "cannot be read"), (b"", "empty"), (b"\xff\xfe\x00", "UTF-8")):
        if content is not None:
            path.write_bytes(content)
        with refused(path, message):
            read_landmarks(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="cannot be read"):
        read_landmarks(path)


def test_formats_go_by_the_suffix(tmp_path):
    landmarks = LandmarkSet.of(["nose"], np.ones((1, 3)))
    with refused("points.xlsx", r"read; use \.mrk\.json, \.fcsv, \.csv"):
        read_landmarks(tmp_path / "points.xlsx")
    with refused("points.txt", "written; use"):
        write_landmarks(tmp_path / "points.txt", landmarks)
    write_landmarks(tmp_path / "POINTS.FCSV", landmarks)
    assert read_landmarks(tmp_path / "POINTS.FCSV").names == ("nose",)


@pytest.mark.parametrize("suffix", LANDMARK_SUFFIXES)
def test_as_many_descriptions_as_landmarks(tmp_path, suffix):
    path = tmp_path / f"case{suffix}"
    with pytest.raises(ValueError, match="2 descriptions for 1 landmarks"):
        write_landmarks(path, LandmarkSet.of(["a"], np.zeros((1, 3))), ["x", "y"])
    assert not path.exists()


NFC, NFD = "N\u00e4se", "Na\u0308se"
MARKUPS = '{{"markups": [{{"type": "Fiducial", "controlPoints": [{}]}}]}}'
POINT = '{{"label": "{}", "position": [1, 2, 3]}}'
TWO_LABELS = {
    ".mrk.json": lambda *labels: MARKUPS.format(", ".join(map(POINT.format, labels))),
    ".fcsv": lambda *labels: (
        "# columns = label,x,y,z\n" + "".join(f'"{label}",1,2,3\n' for label in labels)
    ),
    ".csv": lambda *labels: "landmark,x,y,z\n" + "".join(f'"{label}",1,2,3\n' for label in labels),
}


@pytest.mark.parametrize("suffix", LANDMARK_SUFFIXES)
def test_labels_have_one_spelling(tmp_path, suffix):
    path = tmp_path / f"case{suffix}"
    path.write_text(TWO_LABELS[suffix](NFD), encoding="utf-8")
    assert read_landmarks(path, "RAS").names == (NFC,)
    path.write_text(TWO_LABELS[suffix](NFD, NFC), encoding="utf-8")
    with refused(path, "twice"):
        read_landmarks(path, "RAS")


@pytest.mark.parametrize("suffix", LANDMARK_SUFFIXES)
def test_labels_are_one_line(tmp_path, suffix):
    path = tmp_path / f"case{suffix}"
    label = "no\\nse" if suffix == ".mrk.json" else "no\nse"
    path.write_text(TWO_LABELS[suffix](label), encoding="utf-8")
    with refused(path, "is not one line of text; rename it"):
        read_landmarks(path, "RAS")


def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path):
    """By hand: an apostrophe before what begins as a formula, none before a number."""
    names = ["=1+1", "+a", "-a", "@a", "-1", "'=a", "'b"]
    landmarks = LandmarkSet.of(names, np.zeros((len(names), 3)))
    write_landmarks(tmp_path / "case.csv", landmarks)
    lines = (tmp_path / "case.csv").read_text("utf-8").splitlines()[1:]
    written = [line.split(",")[0] for line in lines]
    assert written == ["'=1+1", "'+a", "'-a", "'@a", "-1", "''=a", "'b"]
    assert read_landmarks(tmp_path / "case.csv").names == tuple(names)


coordinates = st.floats(-1e5, 1e5)
positions = st.one_of(st.tuples(*[coordinates] * 3), st.just((np.nan,) * 3))
characters = st.one_of(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), st.sampled_from(',;"_.# x\t=')
)
labels = (
    st.text(characters, min_size=1, max_size=12)
    .map(lambda label: unicodedata.normalize("NFC", label).strip())
    .filter(lambda name: len(name.splitlines()) == 1)
)
named_positions = st.dictionaries(labels, positions, min_size=1, max_size=5)


@pytest.mark.parametrize("suffix", LANDMARK_SUFFIXES)
@given(named=named_positions, descriptions=st.booleans(), text=st.text(characters, max_size=8))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(suffix, named, descriptions, text):
    landmarks = LandmarkSet.of(list(named), np.array(list(named.values())))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a case{suffix}"
        write_landmarks(path, landmarks, [text] * len(landmarks) if descriptions else None)
        found = read_landmarks(path)
    assert found.names == landmarks.names
    assert found.defined.tolist() == landmarks.defined.tolist()
    np.testing.assert_allclose(found.positions_world, landmarks.positions_world, rtol=0, atol=1e-6)

import numpy as np
import pytest

from pin_lightning.data.cases import subject_of
from pin_lightning.data.sources.folder import find_cases


def make_folder(root, images, landmarks):
    for folder, files in (("images", images), ("landmarks", landmarks)):
        (root / folder).mkdir(exist_ok=True)
        for name in files:
            (root / folder / name).touch()


def test_find_cases_pairs_every_format_by_stem_in_order(tmp_path):
    images = ["e.nii.gz", "a.mha", "b.1.nrrd", "c.NII", "d.nhdr", "f.mhd"]
    ignored = ["d.raw", "notes.txt", ".a.mha", "._e.nii.gz"]
    make_folder(tmp_path, images + ignored, [f"{n}.mrk.json" for n in ["a", "b.1", *"cdef"]])
    cases = find_cases(str(tmp_path))
    assert [case.name for case in cases] == ["a", "b.1", "c", "d", "e", "f"]
    assert cases[1].image == tmp_path / "images" / "b.1.nrrd"
    assert cases[1].landmarks == tmp_path / "landmarks" / "b.1.mrk.json"


BAD_FOLDERS = {
    "images-alone": (["a.nii", "b.nii", "c.nii"], ["b.mrk.json"], "no landmarks of a, c;"),
    "landmarks-alone": (["a.nii"], ["a.mrk.json", "z.mrk.json"], "no image .* of z;"),
    "same-name": (["a.nii", "a.nii.gz"], ["a.mrk.json"], r"both a\.nii and a\.nii\.gz"),
    "no-image": (["a.txt"], ["a.mrk.json"], r"data\.root: no images"),
    "no-landmarks": (["a.nii"], [], r"data\.root: no landmark files"),
}


@pytest.mark.parametrize(("images", "landmarks", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_find_cases_refuses_what_does_not_pair(tmp_path, images, landmarks, message):
    make_folder(tmp_path, images, landmarks)
    with pytest.raises(ValueError, match=message):
        find_cases(tmp_path)
    with pytest.raises(ValueError, match=r"data\.root: there is no folder"):
        find_cases(tmp_path / "absent")


def test_every_landmark_format_dicom_folders_and_other_folder_names(tmp_path):
    make_folder(tmp_path, ["a.nii", "c.nrrd"], ["a.fcsv", "b.csv", "c.mrk.json"])
    (tmp_path / "images" / "b").mkdir()
    (tmp_path / "images").rename(tmp_path / "ct")
    (tmp_path / "landmarks").rename(tmp_path / "points")
    cases = find_cases(tmp_path, images="ct", landmarks="points")
    assert [case.name for case in cases] == ["a", "b", "c"]
    assert cases[1].image == tmp_path / "ct" / "b"
    assert [case.landmarks.name for case in cases] == ["a.fcsv", "b.csv", "c.mrk.json"]


def test_cases_read_their_landmarks_in_the_frame_given(tmp_path):
    make_folder(tmp_path, ["a.nii"], [])
    (tmp_path / "landmarks" / "a.csv").write_text("landmark,x,y,z\ntip,1,2,3\n")
    np.testing.assert_allclose(
        find_cases(tmp_path, frame="LPS")[0].read().positions_world, [[-1, -2, 3]]
    )
    with pytest.raises(ValueError, match=r"data\.frame"):
        find_cases(tmp_path)[0].read()


def test_subjects_come_from_the_pattern(tmp_path):
    make_folder(tmp_path, ["m1_l.nii", "m1_r.nii"], ["m1_l.csv", "m1_r.csv"])
    assert [case.subject for case in find_cases(tmp_path)] == ["m1_l", "m1_r"]
    found = find_cases(tmp_path, subject_pattern="^(m[0-9]+)_")
    assert [case.subject for case in found] == ["m1", "m1"]


BAD_PATTERNS = {
    "no-group": ("m[0-9]+", "put the subject's part in parentheses"),
    "no-pattern": ("m(", "invalid pattern"),
    "no-match": ("^(x)", "does not match the case m1"),
    "empty": ("^(x?)", "does not match the case m1"),
}


@pytest.mark.parametrize(("pattern", "message"), BAD_PATTERNS.values(), ids=BAD_PATTERNS)
def test_subject_refuses(pattern, message):
    with pytest.raises(ValueError, match=message):
        subject_of("m1", pattern)

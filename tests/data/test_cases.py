import numpy as np
import pytest
from shared_cases import data_set, shared_case

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


NFC, NFD = "M\u00fcller", "Mu\u0308ller"


@pytest.mark.parametrize(("image", "landmarks"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
def test_names_are_compared_in_one_spelling_and_files_opened_by_their_own(
    tmp_path, image, landmarks
):
    make_folder(tmp_path, [f"{image}.nii"], [f"{landmarks}.mrk.json"])
    (case,) = find_cases(tmp_path)
    assert case.name == NFC
    assert (case.image.name, case.landmarks.name) == (f"{image}.nii", f"{landmarks}.mrk.json")
    assert subject_of(case.name, f"^({NFD})") == NFC


def test_two_spellings_of_one_name_are_two_files_of_one_case(tmp_path):
    make_folder(tmp_path, [f"{NFC}.nii", f"{NFD}.nii"], [f"{NFC}.mrk.json"])
    with pytest.raises(ValueError, match="keep one"):
        find_cases(tmp_path)


def test_a_name_with_a_line_break_is_refused(tmp_path):
    make_folder(tmp_path, ["a\nb.nii"], ["a\nb.mrk.json"])
    with pytest.raises(ValueError, match=r"'a\\nb' is not one line of text; rename it"):
        find_cases(tmp_path)


def test_folders_that_systems_leave_are_no_cases(tmp_path):
    make_folder(tmp_path, ["a.nii"], ["a.fcsv"])
    for folder in ("@eaDir", "__MACOSX", ".Trash"):
        (tmp_path / "images" / folder).mkdir()
    assert [case.name for case in find_cases(tmp_path)] == ["a"]


def test_decomposed_letters_of_macos(tmp_path):
    """In the shared case the landmarks of M\u00fcller have another spelling than the image."""
    root = data_set("nfd", tmp_path)
    for name in (NFC, NFD):
        (root / "images" / f"{name}.nii.gz").unlink(missing_ok=True)
    image = shared_case("base") / "images" / "ANNA.nii.gz"
    (root / "images" / f"{NFD}.nii.gz").write_bytes(image.read_bytes())
    cases = {case.name: case for case in find_cases(root)}
    assert len(cases) == 6
    assert len(cases[NFC].read().names) == 8


def test_the_series_of_a_case_may_lie_deeper(tmp_path):
    make_folder(tmp_path, [], ["a.fcsv", "b.fcsv", "c.fcsv"])
    for folder in ("a/study/series", "b/1", "b/2", "c", "c/old"):
        (made := tmp_path / "images" / folder).mkdir(parents=True)
        (made / "IM0").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "images" / "a" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    images = {case.name: case.image for case in find_cases(tmp_path)}
    assert images["a"] == tmp_path / "images" / "a" / "study" / "series"
    assert images["b"] == tmp_path / "images" / "b"  # of two, reading says so
    assert images["c"] == tmp_path / "images" / "c"

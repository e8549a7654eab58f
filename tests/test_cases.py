from pathlib import Path

import numpy as np
import pytest

from pin_lightning.cases import Case, find_cases, landmark_names, split_cases, stem
from pin_lightning.landmark_files import write_markups
from pin_lightning.landmarks import LandmarkSet

NAMES = [f"case{number:02d}" for number in range(20)]


def make_folder(root, images, landmarks):
    for folder, files in (("images", images), ("landmarks", landmarks)):
        (root / folder).mkdir(exist_ok=True)
        for name in files:
            (root / folder / name).touch()


def marked_case(root, name, labels, undefined=()):
    positions = np.array([[np.nan if label in undefined else 0.0] * 3 for label in labels])
    path = root / f"{name}.mrk.json"
    write_markups(path, LandmarkSet.of(labels, positions))
    return Case(name, root / f"{name}.nii", path)


def test_find_cases_pairs_every_format_by_stem_in_order(tmp_path):
    images = ["e.nii.gz", "a.mha", "b.1.nrrd", "c.NII", "d.nhdr", "f.mhd"]
    ignored = ["d.raw", "notes.txt", ".a.mha", "._e.nii.gz"]
    make_folder(tmp_path, images + ignored, [f"{n}.mrk.json" for n in ["a", "b.1", *"cdef"]])
    cases = find_cases(str(tmp_path))
    assert [case.name for case in cases] == ["a", "b.1", "c", "d", "e", "f"]
    assert cases[1].image == tmp_path / "images" / "b.1.nrrd"
    assert cases[1].landmarks == tmp_path / "landmarks" / "b.1.mrk.json"


def test_find_cases_takes_other_folder_names(tmp_path):
    make_folder(tmp_path, ["a.nii"], ["a.mrk.json"])
    (tmp_path / "images").rename(tmp_path / "ct")
    (tmp_path / "landmarks").rename(tmp_path / "points")
    (case,) = find_cases(tmp_path, images="ct", landmarks="points")
    assert case.image == tmp_path / "ct" / "a.nii"


BAD_FOLDERS = {
    "images-alone": (["a.nii", "b.nii", "c.nii"], ["b.mrk.json"], "no landmark file for a, c;"),
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


def test_find_cases_refuses_an_absent_folder(tmp_path):
    with pytest.raises(ValueError, match=r"data\.root: there is no folder"):
        find_cases(tmp_path / "absent")


def test_stem_takes_off_the_longest_suffix_only():
    assert stem(Path("x/ANNA.v2.nii.gz")) == "ANNA.v2"
    assert stem(Path("ANNA.NRRD")) == "ANNA"
    assert stem(Path("ANNA.png")) is None


def test_landmark_names_come_in_the_order_of_the_first_case(tmp_path):
    first = marked_case(tmp_path, "a", ["z", "y", "x"])
    other = marked_case(tmp_path, "b", ["x", "y", "z"])
    assert landmark_names([first, other]) == ("z", "y", "x")


def test_landmark_names_that_differ_are_named_with_their_case(tmp_path):
    first = marked_case(tmp_path, "a", ["x", "y"])
    with pytest.raises(ValueError, match=r"case b lacks y; .*case a lacks q;"):
        landmark_names([first, marked_case(tmp_path, "b", ["x", "q"])])
    with pytest.raises(ValueError, match="case c lacks y;"):
        landmark_names([first, marked_case(tmp_path, "c", ["x", "y"], undefined=["y"])])


def test_landmark_names_need_cases_with_landmarks():
    with pytest.raises(ValueError, match=r"data\.root"):
        landmark_names([])
    with pytest.raises(ValueError, match="case a has no landmark file"):
        landmark_names([Case("a", Path("a.nii"), None)])


def test_split_has_the_sizes_asked_for_and_every_case_once():
    split = split_cases(NAMES, 0.1, 0.25, seed=0)
    assert (len(split.train), len(split.val), len(split.test)) == (13, 2, 5)
    assert sorted(split.train + split.val + split.test) == NAMES
    assert split.train == tuple(sorted(split.train))


def test_split_depends_on_the_seed_and_not_on_the_order():
    split = split_cases(NAMES, 0.1, 0.25, seed=3)
    assert split == split_cases(NAMES[::-1], 0.1, 0.25, seed=3)
    assert split != split_cases(NAMES, 0.1, 0.25, seed=4)
    # The first sorted names must not always be the test cases.
    assert len({split_cases(NAMES, 0.1, 0.25, seed=seed).test for seed in range(10)}) == 10


def test_small_fractions_still_give_one_case_and_zero_gives_none():
    split = split_cases(NAMES, 0.001, 0, seed=0)
    assert (len(split.train), len(split.val), len(split.test)) == (19, 1, 0)


def test_explicit_names_override_fractions():
    split = split_cases(NAMES, 0.5, 0.1, seed=0, val_names=["case03"], test_names=["case07"])
    assert (split.val, split.test) == (("case03",), ("case07",))
    assert len(split.train) == 18
    only_test = split_cases(NAMES, 0.1, 0.9, seed=0, test_names=["case09", "case01"])
    assert only_test.test == ("case01", "case09")
    assert len(only_test.val) == 2
    assert split_cases(NAMES, 0.1, 0.9, seed=0, test_names=[]).test == ()


BAD_SPLITS = {
    "unknown": ({"test_names": ["nobody"]}, "test_names: no case named nobody"),
    "twice": ({"val_names": ["case01", "case01"]}, "val_names: case01 given twice"),
    "both": ({"val_names": ["case01"], "test_names": ["case01"]}, "case01 in both"),
    "negative": ({"val_fraction": -0.1}, "val_fraction=-0.1"),
    "one": ({"test_fraction": 1.0}, "test_fraction=1.0"),
    "none-left": ({"val_fraction": 0.5, "test_fraction": 0.45}, "1 of 20 cases left to train"),
    "all-val": ({"val_names": NAMES}, "0 of 20 cases left to train"),
}


@pytest.mark.parametrize(("settings", "message"), BAD_SPLITS.values(), ids=BAD_SPLITS)
def test_split_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        split_cases(NAMES, **{"val_fraction": 0.1, "test_fraction": 0.1, "seed": 0, **settings})


def test_split_refuses_equal_names():
    with pytest.raises(ValueError, match="a given twice"):
        split_cases(["a", "a", "b", "c"], 0.0, 0.0, seed=0)

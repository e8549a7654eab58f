from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case
from pin_lightning.data.inspection import Inspected, annotate, choose_landmarks, inspect_cases

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
NAN = [np.nan] * 3


def inspected(name, **positions):
    landmarks = LandmarkSet.of(tuple(positions), np.array(list(positions.values()), float))
    case = Case(name, Path(f"{name}.nii"), Path(f"{name}.fcsv"), lambda: landmarks, name)
    return Inspected(case, ((5, 5, 5), AFFINE), landmarks)


def test_names_are_a_union_in_the_order_of_appearance():
    cases = [inspected("a", z=[0, 0, 0], y=NAN), inspected("b", x=[1, 1, 1], y=[2, 2, 2])]
    assert choose_landmarks(cases) == ("z", "y", "x")
    assert choose_landmarks(cases, ["x", "z"]) == ("x", "z")


def test_a_landmark_that_no_case_has_is_left_out_and_refused_where_it_is_asked_for():
    cases = [inspected("a", nose=[0, 0, 0], chin=NAN), inspected("b", nose=[1, 1, 1])]
    assert choose_landmarks(cases) == ("nose",)
    with pytest.raises(ValueError, match="landmark chin: has a position in no case"):
        choose_landmarks(cases, ["chin", "nose"])
    with pytest.raises(ValueError, match="landmark chin: has a position in no case"):
        choose_landmarks([inspected("a", chin=NAN)])
    assert choose_landmarks(cases, ["nose"]) == ("nose",)
    with pytest.raises(ValueError, match=r"no case has noze; did you mean nose\?"):
        choose_landmarks(cases, ["noze"])
    with pytest.raises(ValueError, match="no case has ear; there are nose, chin"):
        choose_landmarks(cases, ["ear"])


def test_names_that_are_asked_for_have_one_spelling():
    cases = [inspected("a", **{"N\u00e4se": [0, 0, 0], "1": [1, 1, 1]})]
    assert choose_landmarks(cases, ["Na\u0308se", 1]) == ("N\u00e4se", "1")


def test_annotate_leaves_what_is_missing_undefined():
    """By hand: the centre of 5 voxels of 2 mm is at 4 mm."""
    one = inspected("a", nose=[4, 4, 4], tip=[6, 4, 4])
    annotated = annotate(one, ["tip", "ear", "nose"], Grid((10, 10, 10), 1.0))
    assert annotated.landmarks.defined.tolist() == [True, False, True]
    expected = torch.tensor([[2.0, 0, 0], NAN, [0, 0, 0]])
    torch.testing.assert_close(annotated.landmarks_mm, expected, equal_nan=True)


def test_inspection_goes_on_after_a_bad_case(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), AFFINE), tmp_path / "good.nii")
    (tmp_path / "bad.nii").write_text("no image")
    landmarks = LandmarkSet.of(["nose"], np.zeros((1, 3)))

    def broken():
        raise ValueError("points.fcsv: is empty")

    def case(name, image, read):
        return Case(name, tmp_path / image, tmp_path / "points.fcsv", read, name)

    cases = [
        case("bad image", "bad.nii", lambda: landmarks),
        case("good", "good.nii", lambda: landmarks),
        case("bad points", "good.nii", partial(broken)),
        case("no points", "good.nii", None),
    ]
    read, failures = inspect_cases(cases)
    assert [one.case.name for one in read] == ["good"]
    assert read[0].header[0] == (5, 5, 5)
    np.testing.assert_array_equal(read[0].header[1], AFFINE)
    assert list(failures) == ["bad image", "bad points", "no points"]
    assert "bad.nii" in failures["bad image"]
    assert failures["bad points"] == "points.fcsv: is empty"
    assert "has no landmarks" in failures["no points"]

import numpy as np
import pytest

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.data.sources.listed import listed_cases


@pytest.fixture
def root(tmp_path):
    (tmp_path / "scans").mkdir()
    for name in ("a", "b"):
        (tmp_path / "scans" / f"{name}.nii.gz").touch()
        landmarks = LandmarkSet.of(["tip"], np.array([[1.0, 2.0, 3.0]]))
        write_landmarks(tmp_path / "marks" / f"{name}.mrk.json", landmarks)
    rows = [f"B,{tmp_path}/scans/b.nii.gz,marks/b.mrk.json,x", "A,scans/a.nii.gz,marks/a.mrk.json,"]
    (tmp_path / "cases.csv").write_text("\n".join(["case,image,landmarks,subject", *rows, ""]))
    return tmp_path


def test_files_lie_anywhere(root):
    first, second = listed_cases(root)
    assert [first.name, first.subject, second.name, second.subject] == ["A", "A", "B", "x"]
    assert first.image == root / "scans" / "a.nii.gz"
    np.testing.assert_allclose(second.read().positions_world, [[1, 2, 3]])


WRONG = {
    "no file": ("C,scans/c.nii.gz,marks/a.mrk.json,", "the case C: there is no scans/c.nii.gz"),
    "twice": ("A,scans/a.nii.gz,marks/a.mrk.json,", "the case A is there twice"),
    "no landmarks": ("C,scans/a.nii.gz,,", "the case C: there is no file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_refused(kind, root):
    row, words = WRONG[kind]
    table = root / "cases.csv"
    table.write_text(table.read_text() + row + "\n")
    with pytest.raises(ValueError, match=words):
        listed_cases(root)
    with pytest.raises(ValueError, match=r"there is no .*none\.csv"):
        listed_cases(root, table="none.csv")

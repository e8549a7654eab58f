import nibabel as nib
import numpy as np
import pytest

from pin_lightning.data.sources.csv_table import csv_cases


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("ANNA", "BERT"):
        image = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.diag([2, 2, 2, 1]))
        nib.save(image, tmp_path / "images" / f"{name}.nii.gz")
    return tmp_path


LONG = "case,landmark,x,y,z,frame\nBERT,tip,1,2,3,LPS\nANNA,tip,4,5,6,LPS\nANNA,base,,,,LPS\n"
WIDE = "specimen;tip_x;tip_y;tip_z;subject\nANNA.nii.gz;4;5;6;mother\nBERT.nii.gz;1;2;3;mother\n"


def test_a_long_table_with_its_frame(root):
    (root / "landmarks.csv").write_text(LONG)
    anna, bert = csv_cases(root)
    assert (anna.name, bert.name) == ("ANNA", "BERT")
    np.testing.assert_allclose(bert.read().positions_world, [[-1, -2, 3]])
    assert anna.read().defined.tolist() == [True, False]
    assert anna.landmarks == root / "landmarks.csv"
    assert anna.subject == "ANNA"
    assert [case.subject for case in csv_cases(root, subject_pattern="^(.)")] == ["A", "B"]


def test_a_wide_table_whose_frame_is_a_setting(root):
    (root / "points.csv").write_text(WIDE)
    with pytest.raises(ValueError, match=r"data\.frame"):
        csv_cases(root, table="points.csv")
    anna, bert = csv_cases(root, table="points.csv", frame="RAS")
    np.testing.assert_allclose(anna.read().positions_world, [[4, 5, 6]])
    assert (anna.subject, bert.subject) == ("mother", "mother")
    anna, _ = csv_cases(root, table="points.csv", frame="voxel")
    np.testing.assert_allclose(anna.read().positions_world, [[8, 10, 12]])


BAD = {
    "no-row": (LONG.replace("BERT", "ANNA").replace("tip,4", "top,4"), "no landmarks of BERT"),
    "no-image": (LONG + "CARL,tip,1,1,1,LPS\n", "no image for the landmarks of CARL"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_refuses(root, text, message):
    (root / "landmarks.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        csv_cases(root)

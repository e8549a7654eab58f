import numpy as np
import pytest
from refusals import refused
from shared_cases import shared_case

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.fcsv import read_fcsv, write_fcsv

COLUMNS = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
SLICER_4 = (
    "# Markups fiducial file version = 4.10\n# CoordinateSystem = 0\n"
    + COLUMNS
    + "vtkMRMLMarkupsFiducialNode_0,1.5,-2,3e1,0,0,0,1,1,1,0,AC,,vtkMRMLScalarVolumeNode1\n"
    + "vtkMRMLMarkupsFiducialNode_1,4,5,6,0,0,0,1,1,1,1,PC,posterior,vtkMRMLScalarVolumeNode1\n"
)
# Slicer 5 writes two cells more than it names: the status of the position, and another number.
SLICER_5 = (
    "# Markups fiducial file version = 5.6\n# CoordinateSystem = LPS\n"
    + COLUMNS
    + "1,1.5,-2,30,0,0,0,1,1,1,0,AC,,,2,0\n"
    + "2,4,5,6,0,0,0,1,1,1,0,PC,,,2,0\n"
)
SLICER_3 = (
    "# Fiducial List file F.fcsv\n# version = 2\n# name = F\n# symbolScale = 5\n"
    "# columns = label,x,y,z,sel,vis\nAC,1.5,-2,30,1,1\nPC,4,5,6,1,1\n"
)
BARE_ROWS = "1,1.5,-2,30,0,0,0,1,1,1,0,AC,,\n2,4,5,6,0,0,0,1,1,1,0,PC,,\n"


def slicer_5(row, system="LPS"):
    return f"# CoordinateSystem = {system}\n{COLUMNS}{row}\n"


FLAVOURS = {
    "slicer-3": (SLICER_3, None),
    "slicer-4": (SLICER_4, "RAS"),
    "slicer-4-numeric-lps": (SLICER_4.replace("System = 0", "System = 1"), "LPS"),
    "slicer-5": (SLICER_5, "LPS"),
    "slicer-5-ras": (SLICER_5.replace("= LPS", "= RAS"), "RAS"),
    "windows": (SLICER_5.replace("\n", "\r\n"), "LPS"),
    "byte-order-mark": ("\ufeff" + SLICER_5, "LPS"),
    "blank-lines": (SLICER_5.replace("1,1.5", "\n\n1,1.5") + "\n\n", "LPS"),
    "no-columns-line": (SLICER_5.replace(COLUMNS, ""), "LPS"),
    "no-header": (BARE_ROWS, None),
    "no-last-newline": (BARE_ROWS.strip(), None),
    "from-a-spreadsheet": (SLICER_4.replace("\n# col", ",,,,\n# col"), "RAS"),
    "short-rows": ("# CoordinateSystem = RAS\n1,1.5,-2,30,,,,,,,,AC\n2,4,5,6,,,,,,,,PC\n", "RAS"),
    "other-order": ("# columns = z,y,x,label\n30,-2,1.5,AC\n6,5,4,PC\n", None),
}


@pytest.mark.parametrize(("text", "frame"), FLAVOURS.values(), ids=FLAVOURS.keys())
def test_every_flavour_gives_the_same_points(save, text, frame):
    framed = read_fcsv(save(text))
    assert framed.names == ("AC", "PC")
    assert framed.positions.tolist() == [[1.5, -2, 30], [4, 5, 6]]
    assert framed.frame == frame


def test_quoted_labels_may_hold_commas_and_quotes(save):
    framed = read_fcsv(save(slicer_5('1,1,2,3,0,0,0,1,1,1,0,"a, ""b""","c, d",,2,0')))
    assert framed.names == ('a, "b"',)


BEFORE = "1,1,2,3,0,0,0,1,1,1,0,"
COMMAS = {
    "description": ("AC,grade 2, 1,", "AC"),
    "description-twice": ("AC,grade 2, 1, old,", "AC"),
    "label": ("left, upper,,", "left, upper"),
    "both": ("left, upper,grade 2, 1,", "left, upper"),
    "with-a-node": ("AC,grade 2, 1,vtkMRMLScalarVolumeNode1", "AC"),
    "slicer-5": ("left, upper,grade 2, 1,,2,0", "left, upper"),
    "from-a-spreadsheet": ("AC,,,,", "AC"),
}


@pytest.mark.parametrize(("after", "label"), COMMAS.values(), ids=COMMAS)
def test_bare_commas_with_a_blank_after_them_are_text(save, after, label):
    framed = read_fcsv(save(slicer_5(BEFORE + after)))
    assert framed.names == (label,)
    assert framed.positions.tolist() == [[1, 2, 3]]


def test_blanks_after_all_commas_are_no_text(save):
    framed = read_fcsv(save(slicer_5("1, 1, 2, 3, 0, 0, 0, 1, 1, 1, 0, AC, old, ")))
    assert framed.names == ("AC",)


def test_bare_commas_of_the_shared_case(tmp_path):
    """Descriptions of all rows are `grade 2, 1`, which looked like a status."""
    for path in sorted((shared_case("lm_fcsv_comma_desc_digit") / "landmarks").iterdir()):
        framed = read_fcsv(path)
        assert framed.names == ("L1", "L7", "L13", "L19", "L27", "L33", "L41", "L49")
        assert np.isfinite(framed.positions).all()


def test_previews_are_named(save, caplog):
    path = save(slicer_5(f"{BEFORE}AC,,,1,0\n{BEFORE}PC,,,2,0\n{BEFORE}MB,,,0,0"))
    assert np.isfinite(read_fcsv(path).positions).all(axis=1).tolist() == [False, True, False]
    (record,) = caplog.records
    said = f"{path}: 1 landmarks with the status 'preview' count as missing: AC;"
    assert record.getMessage().startswith(said)


UNDEFINED = {
    "empty": "1,,,,0,0,0,1,1,1,0,AC,,",
    "nan": "1,nan,NaN,NA,0,0,0,1,1,1,0,AC,,",
    "status-undefined": "1,0,0,0,0,0,0,1,1,1,0,AC,,,0,0",
    "status-preview": "1,1,2,3,0,0,0,1,1,1,0,AC,,,1,0",
    "status-missing": "1,1,2,3,0,0,0,1,1,1,0,AC,,,3,0",
}


@pytest.mark.parametrize("row", UNDEFINED.values(), ids=UNDEFINED.keys())
def test_points_without_a_position_stay_in_the_list(save, row):
    framed = read_fcsv(save(slicer_5(row)))
    assert framed.names == ("AC",)
    assert np.isnan(framed.positions).all()


def test_written_file_is_what_slicer_expects(tmp_path):
    path = tmp_path / "case.fcsv"
    landmarks = LandmarkSet.of(["tip, left", "b"], np.array([[1.25, -2, 3], [np.nan] * 3]))
    write_fcsv(path, landmarks, ["say\nsomething, please", ""])
    assert path.read_text("utf-8").splitlines() == [
        "# Markups fiducial file version = 5.6",
        "# CoordinateSystem = LPS",
        COLUMNS.strip() + ",positionStatus",
        '1,-1.25,2.0,3.0,0,0,0,1,1,1,0,"tip, left","say something, please",,2',
        "2,0.0,0.0,0.0,0,0,0,1,1,1,0,b,,,0",
    ]


ROW = "1,1,2,3,0,0,0,1,1,1,0,AC,,"
INVALID = {
    "empty": ("", "empty"),
    "blank": ("\n \n", "empty"),
    "not-utf-8": (b"# CoordinateSystem = RAS\n\xff\n", "not UTF-8"),
    "header-only": (SLICER_5.split("1,1.5")[0], "holds no landmarks"),
    "ijk": (slicer_5(ROW, "IJK"), r"voxel indices \(IJK\)"),
    "ijk-number": (slicer_5(ROW, "2"), r"voxel indices \(IJK\)"),
    "unknown-system": (slicer_5(ROW, "scanner"), "CoordinateSystem is 'scanner'"),
    "empty-system": (slicer_5(ROW, ""), "CoordinateSystem is ''"),
    "two-systems": ("# CoordinateSystem = 0\n" + SLICER_5, "both LPS and RAS"),
    "columns-without-label": ("# columns = id,x,y,z\n1,1,2,3\n", "does not name label"),
    "too-few-cells": (slicer_5("1,1,2,3"), "line 3: has 4 cells"),
    "slicer-3-row-without-columns": ("AC,1,2,3,1,1\n", "line 1: has 6 cells"),
    "too-many-cells": (slicer_5(ROW + ",2,0,9"), "line 3: has 17 cells"),
    "label-with-bare-comma": (slicer_5("1,1,2,3,0,0,0,1,1,1,0,a,b,,vol"), "line 3: has 15 cells"),
    "label-with-bare-commas": (slicer_5(BEFORE + "a,b,,"), "line 3: has 15 cells"),
    "description-with-bare-comma": (slicer_5(BEFORE + "a,b,1,"), "line 3: has 15 cells"),
    "no-node": (slicer_5(BEFORE + "a,b,1"), "line 3: has 14 cells"),
    "description-like-a-status": (slicer_5(BEFORE + "a,b,,1,"), "line 3: has 16 cells"),
    "label-or-description": (slicer_5(BEFORE + "a, b,"), "label may be 'a' or 'a, b'"),
    "open-quote": (slicer_5('1,1,2,3,0,0,0,1,1,1,0,"AC,,'), "not a valid row"),
    "part": (slicer_5("1,1,,3,0,0,0,1,1,1,0,AC,,"), "'AC' has a position in part"),
    "text": (slicer_5("1,1,two,3,0,0,0,1,1,1,0,AC,,"), "line 3: landmark 'AC', y: 'two'"),
    "infinite": (slicer_5("1,1,2,inf,0,0,0,1,1,1,0,AC,,"), "z: 'inf' is not a finite number"),
    "underscore": (slicer_5("1,1_0,2,3,0,0,0,1,1,1,0,AC,,"), "x: '1_0'"),
    "no-label": (slicer_5("1,1,2,3,0,0,0,1,1,1,0,,,"), "landmark 1 has no label"),
    "same-label": (slicer_5(f"{ROW}\n{ROW}"), "twice: AC;"),
    "status": (slicer_5(ROW + ",7,0"), "positionStatus '7'"),
}


@pytest.mark.parametrize(("text", "message"), INVALID.values(), ids=INVALID)
def test_invalid_files_are_refused(save, text, message):
    path = save(text)
    with refused(path, message):
        read_fcsv(path)


@pytest.mark.parametrize("name", ["", " a", "a\nb", "a\u2028b"])
def test_names_that_would_come_back_changed_are_not_written(tmp_path, name):
    path = tmp_path / "case.fcsv"
    with pytest.raises(ValueError, match="cannot be written"):
        write_fcsv(path, LandmarkSet.of([name], np.zeros((1, 3))))
    assert not path.exists()

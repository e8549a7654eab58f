import numpy as np
import pytest
from refusals import refused
from shared_cases import shared_case

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.landmarks.table_reading import case_name, read_framed_table
from pin_lightning.data.landmarks.table_writing import write_case_table

LONG = """case,landmark,x,y,z
A,nose,1,2,3
A,chin,4,5,6.5
B,nose,-7,8,9
B,chin,,,
"""
WIDE = """case,nose_x,nose_y,nose_z,chin_x,chin_y,chin_z
A,1,2,3,4,5,6.5
B,-7,8,9,,,
"""


SAME = {
    "long": LONG,
    "wide": WIDE,
    "semicolons": LONG.replace(",", ";"),
    "decimal-comma": LONG.replace(",", ";").replace("6.5", "6,5"),
    "tabs": LONG.replace(",", "\t"),
    "wide-tabs": WIDE.replace(",", "\t"),
    "blanks-around": LONG.replace(",", " , "),
    "windows": LONG.replace("\n", "\r\n"),
    "old-mac": LONG.replace("\n", "\r"),
    "byte-order-mark": "\ufeff" + LONG,
    "blank-lines": LONG.replace("\nB", "\n\n,,,,\nB") + "\n\n",
    "upper-case-columns": LONG.replace("case,landmark,x,y,z", "CASE,Landmark,X,Y,Z"),
    "image-files": LONG.replace("A,", "A.nii.gz,").replace("B,", "B.NII,"),
    "paths": LONG.replace("A,", "/data/scans/A.nrrd,").replace("B,", "C:\\scans\\B,"),
    "not-available": LONG.replace("B,chin,,,", "B,chin,NA,NaN,n/a"),
    "extra-columns": LONG.replace("\n", ",7\n").replace("z,7", "z,rater"),
    "columns-in-another-order": "z,y,x,point,volume\n3,2,1,nose,A\n6.5,5,4,chin,A\n"
    "9,8,-7,nose,B\n,,,chin,B\n",
    "name-is-the-case": LONG.replace("case,landmark", "name,label"),
    "name-is-the-landmark": LONG.replace("case,landmark", "specimen,name"),
    "wide-with-points": WIDE.replace("_", "."),
    "wide-with-blanks": WIDE.replace("_", " "),
    "wide-upper-case-axes": WIDE.replace("_x", "_X"),
    "separator": "sep=;\n" + LONG.replace(",", ";"),
    "separator-quoted": '"sep=\t"\r\n' + LONG.replace(",", "\t"),
    "separator-of-its-own": "SEP=|\n" + LONG.replace(",", "|").replace("6.5", "6,5"),
    "separator-and-comment": "sep=;\n# by hand\n" + LONG.replace(",", ";").replace("6.5", "6,5"),
    "tabs-decimal-comma": LONG.replace(",", "\t").replace("6.5", "6,5"),
    "defined": "case,landmark,x,y,z,defined\nA,nose,1,2,3,1\nA,chin,4,5,6.5,True\nB,nose,-7,8,9,\n"
    "B,chin,1,1,1,0\n",
    "quoted": LONG.replace("A,nose", '"A","nose"'),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME.keys())
def test_every_flavour_gives_the_same_landmarks(save, text):
    table = read_framed_table(save(text))
    assert list(table.cases) == ["A", "B"]
    assert [case.names for case in table.cases.values()] == [("nose", "chin")] * 2
    np.testing.assert_array_equal(table.cases["A"].positions, [[1, 2, 3], [4, 5, 6.5]])
    np.testing.assert_array_equal(table.cases["B"].positions, [[-7, 8, 9], [np.nan] * 3])
    assert table.frame is None
    assert table.subjects == {}


def test_cases_of_a_long_table_have_the_landmarks_of_their_rows(save):
    table = read_framed_table(save("case,landmark,x,y,z\nB,b,1,2,3\nA,a,4,5,6\nB,a,7,8,9\n"))
    assert [(case, one.names) for case, one in table.cases.items()] == [
        ("B", ("b", "a")),
        ("A", ("a",)),
    ]


def test_wide_names_may_hold_separators(save):
    header = "case;left eye_upper_x;left eye_upper_y;left eye_upper_z;a, b.x;a, b.y;a, b.z"
    table = read_framed_table(save(f"{header}\nA;1;2;3;4;5;6\n"))
    assert table.cases["A"].names == ("left eye_upper", "a, b")


def test_case_columns_have_an_order_of_preference(save):
    table = read_framed_table(save("scan,id,volume,label,x,y,z\ns,i,v,nose,1,2,3\n"))
    assert list(table.cases) == ["v"]


@pytest.mark.parametrize("column", ["subject", "participant_id", "Patient", "ANIMAL"])
def test_subjects_of_the_cases_that_have_one(save, column):
    text = f"case,{column},landmark,x,y,z\nA,mouse1,a,1,2,3\nA,mouse1,b,1,2,3\nB,,a,1,2,3\n"
    assert read_framed_table(save(text)).subjects == {"A": "mouse1"}


def with_cells(column, *cells):
    rows = [f"{line},{cell}" for line, cell in zip(LONG.split("\n")[1:], cells, strict=False)]
    return "\n".join([f"case,landmark,x,y,z,{column}", *rows]) + "\n"


def with_axes(*axes):
    return LONG.replace("x,y,z", ",".join(axes))


SAID = {
    "column": (with_cells("frame", *["LPS"] * 4), "LPS"),
    "column-in-lower-case": (with_cells("coordinate_system", *["ras"] * 4), "RAS"),
    "column-space": (with_cells("Space", *["Voxel"] * 4), "voxel"),
    "empty-column": (with_cells("frame", *[""] * 4), None),
    "comment": ("# frame = LPS\n" + LONG, "LPS"),
    "slicer-comment": ("# made by hand\n#CoordinateSystem = RAS\n\n" + LONG, "RAS"),
    "comment-from-a-spreadsheet": ("# frame = voxel;;;;\n" + LONG.replace(",", ";"), "voxel"),
    "axes-lps": (with_axes("x_lps", "y_lps", "z_lps"), "LPS"),
    "axes-ras": (with_axes("X_RAS", "Y_RAS", "Z_RAS"), "RAS"),
    "axes-voxel": (with_axes("x_voxel", "y_voxel", "z_voxel"), "voxel"),
    "axes-of-slicer": (with_axes("l", "p", "s"), "LPS"),
    "axes-of-slicer-ras": (with_axes("R", "A", "S"), "RAS"),
    "wide-lps": (
        WIDE.replace("_x", "_x_lps").replace("_y", "_y_LPS").replace("_z", "_z_lps"),
        "LPS",
    ),
    "wide-voxel": (
        WIDE.replace("_x", ".x.voxel").replace("_y", ".y.voxel").replace("_z", ".z.voxel"),
        "voxel",
    ),
    "ijk": (with_axes("i", "j", "k"), "voxel"),
    "all-the-same": ("# frame: LPS\n" + with_cells("frame", *["LPS"] * 4), "LPS"),
    "wide": ("# frame = LPS\n" + WIDE, "LPS"),
}


@pytest.mark.parametrize(("text", "frame"), SAID.values(), ids=SAID.keys())
def test_frame_that_a_table_says(save, text, frame):
    table = read_framed_table(save(text))
    assert table.frame == frame
    assert {framed.frame for framed in table.cases.values()} == {frame}


@pytest.mark.parametrize("unit", ["um", "\u00b5m", "Microns", "cm", "pixels"])
def test_a_unit_that_is_not_mm_is_refused(save, unit):
    with pytest.raises(ValueError, match=f"line 2: its unit is '{unit}'; give positions in mm"):
        read_framed_table(save(with_cells("unit", *[unit] * 4)))


@pytest.mark.parametrize("unit", ["mm", "", "ICU"])
def test_another_unit_is_none_or_no_length(save, unit):
    assert list(read_framed_table(save(with_cells("unit", *[unit] * 4))).cases) == ["A", "B"]


def long(*rows, header="case,landmark,x,y,z"):
    return "\n".join([header, *rows]) + "\n"


INVALID = {
    "empty": ("", "empty"),
    "only-comments": ("# frame = LPS\n", "has no rows"),
    "header-only": ("case,landmark,x,y,z\n", "has no rows"),
    "not-utf-8": ("case,landmark,x,y,z\nA,Nasenfl\xfcgel,1,2,3\n".encode("latin-1"), "not UTF-8"),
    "utf-16": (LONG.encode("utf-16"), "not UTF-8"),
    "no-coordinates": (long("A,nose", header="case,landmark"), "has no coordinates"),
    "no-z": (long("A,nose,1,2", header="case,landmark,x,y"), "has no coordinates"),
    "mixed-axes": (long("A,nose,1,2,3", header="case,landmark,x_lps,y_lps,z_ras"), "no coordi"),
    "two-sets": (long("A,a,1,2,3,1,2,3", header="case,point,x,y,z,i,j,k"), "x, y, z and i, j, k"),
    "no-landmark-column": (long("A,1,2,3", header="case,x,y,z"), "no column that names the landm"),
    "column-twice": (long("A,a,1,2,3,4", header="case,label,x,y,z,X"), "column 'x' twice"),
    "incomplete-triple": (long("A,1,2", header="case,nose_x,nose_z"), "no column nose_y"),
    "wide-column-twice": (long("A,1,1,2,3", header="case,a_x,a.x,a_y,a_z"), "'a.x' twice"),
    "cells": (long("A,nose,1,2,3", "A,chin,1,2"), "line 3: has 4 cells, the header has 5"),
    "cells-below-comment": ("# frame = LPS\n" + long("A,nose,1,2"), "line 3: has 4 cells"),
    "part": (long("A,nose,1,,3"), "line 2: landmark 'nose' has a position in part"),
    "text": (long("A,nose,1,2,3", "A,chin,1,zwei,3"), "line 3: landmark 'chin', y: 'zwei'"),
    "infinite": (long("A,nose,1,2,-inf"), "z: '-inf' is not a finite number"),
    "case-of-two-lines": (long('"A\nB",nose,1,2,3'), "line 3: the name .* is not one line"),
    "points-and-commas": (
        "case\tlandmark\tx\ty\tz\nA\tnose\t1,234\t2.5\t3\n",
        "points \\(line 2\\) and",
    ),
    "thousands": ("case;label;x;y;z\nA;nose;1.234,5;2;3\n", "x: '1.234,5'"),
    "no-landmark": (long("A,,1,2,3"), "line 2: names no landmark"),
    "no-case": (long(",nose,1,2,3"), "line 2: names no case"),
    "suffix-only": (long("scans/.nii.gz,nose,1,2,3"), "line 2: names no case"),
    "landmark-twice": (long("A,a,1,2,3", "A,b,1,2,3", "A,a,1,2,3"), "line 4: .*'A' occurs twice"),
    "wide-case-twice": (WIDE + "A,1,2,3,4,5,6\n", "line 4: case 'A' has a second row"),
    "wide-without-case": (long("1,2,3", "4,5,6", header="a_x,a_y,a_z"), "no column case"),
    "case-spelt-in-two-ways": (long("one/A,a,1,2,3", "two/A,b,1,2,3"), "case 'A' has spelling"),
    "two-subjects": (
        long("A,s,a,1,2,3", "A,t,b,1,2,3", header="case,subject,landmark,x,y,z"),
        "subject 't' here and 's' above",
    ),
    "open-quote": (long('A,"nose,1,2,3'), "not a valid row"),
    "unknown-frame": (with_cells("frame", *["MNI"] * 4), "frame is 'MNI'"),
    "two-frames": (with_cells("frame", "LPS", "RAS", "LPS", "LPS"), "both LPS and RAS"),
    "frame-in-some-rows": (with_cells("frame", "LPS", "", "LPS", "LPS"), "frame is ''"),
    "comment-against-column": ("# frame = RAS\n" + SAID["column"][0], "both RAS and LPS"),
    "comment-against-axes": ("# frame = RAS\n" + SAID["ijk"][0], "both RAS and voxel"),
}


@pytest.mark.parametrize(("text", "message"), INVALID.values(), ids=INVALID)
def test_invalid_tables_are_refused(save, text, message):
    path = save(text)
    with refused(path, message):
        read_framed_table(path)


CASE_NAMES = {
    "ANNA": "ANNA",
    "ANNA.v2": "ANNA.v2",
    "ANNA.nii.gz": "ANNA",
    "scans/sub 1/ANNA.MHA": "ANNA",
    "D:\\scans\\Änna.nrrd": "Änna",
    "dicom/ANNA/": "ANNA",
    "": "",
}


@pytest.mark.parametrize(("written", "name"), CASE_NAMES.items())
def test_case_name(written, name):
    assert case_name(written) == name


LANDMARKS = LandmarkSet.of(["a, b", "c"], np.array([[0.1, -2, 3], [np.nan] * 3]))


def test_written_table_of_one_case(tmp_path):
    path = tmp_path / "new" / "case.csv"
    write_case_table(path, LANDMARKS)
    assert path.read_text("utf-8") == 'landmark,x,y,z,frame\n"a, b",0.1,-2.0,3.0,RAS\nc,,,,RAS\n'
    write_case_table(path, LANDMARKS, ["spread 0.2; low", ""])
    assert path.read_text("utf-8") == (
        'landmark,x,y,z,frame,description\n"a, b",0.1,-2.0,3.0,RAS,"spread 0.2; low"\nc,,,,RAS,\n'
    )
    assert [file.name for file in path.parent.iterdir()] == ["case.csv"]


def test_a_name_that_would_come_back_changed_is_not_written(tmp_path):
    path = tmp_path / "case.csv"
    with refused(path, "'a ' cannot"):
        write_case_table(path, LandmarkSet.of(["a "], np.zeros((1, 3))))
    assert not path.exists()


def test_rows_of_one_case_may_be_numbered(save):
    path = save("id,label,x,y,z\n1,nose,1,2,3\n2,chin,4,5,6\n")
    assert list(read_framed_table(path).cases) == ["1", "2"]
    ((case, framed),) = read_framed_table(path, of_one_case=True).cases.items()
    assert (case, framed.names) == ("", ("nose", "chin"))
    path = save("id,label,x,y,z\n1,nose,1,2,3\n2,nose,4,5,6\n")
    assert list(read_framed_table(path, of_one_case=True).cases) == ["1", "2"]
    path = save("case,label,x,y,z\n1,nose,1,2,3\n2,chin,4,5,6\n")
    assert list(read_framed_table(path, of_one_case=True).cases) == ["1", "2"]


def test_tables_of_slicer(save):
    """Columns as 3D Slicer 5 exports them; by hand, the chin was not placed."""
    header = "label,l,p,s,defined,selected,visible,locked,description"
    table = read_framed_table(save(f"{header}\nnose,1,2,3,1,1,1,0,\nchin,0,0,0,0,1,1,0,a note\n"))
    assert table.frame == "LPS"
    np.testing.assert_array_equal(table.cases[""].positions, [[1, 2, 3], [np.nan] * 3])


@pytest.mark.parametrize("name", ["lm_slicer_table_lps", "lm_csv_id_label"])
def test_tables_of_the_shared_cases_are_those_of_the_markups(name):
    folder = shared_case(name) / "landmarks"
    for path in sorted(folder.iterdir()):
        expected = read_landmarks(shared_case("base") / "landmarks" / f"{path.stem}.mrk.json")
        found = read_landmarks(path)
        assert found.names == expected.names
        np.testing.assert_allclose(found.positions_world, expected.positions_world, atol=1e-6)


MORE_INVALID = {
    "both-frames": ("label,l,p,s,r,a\nnose,1,2,3,1,2\n", "has coordinates l, p, s and r, a, s"),
    "wide-frames": ("case,a_x_lps,a_y_lps,a_z\nA,1,2,3\n", "its columns say LPS and no frame"),
    "defined": ("label,l,p,s,defined\nnose,1,2,3,maybe\n", "defined is 'maybe'; give 0 or 1"),
    "thousands": (
        "sep=;\nlabel;x;y;z\nnose;1.234,5;2;3\n",
        "line 3: landmark 'nose', x: '1.234,5'",
    ),
}


@pytest.mark.parametrize(("content", "message"), MORE_INVALID.values(), ids=MORE_INVALID)
def test_what_columns_say_is_checked(save, content, message):
    path = save(content)
    with refused(path, message):
        read_framed_table(path)

import numpy as np
import pytest
from refusals import refused

from pin_lightning.data.landmarks.voxel_text import read_voxel_rows

ROWS = [[1, 2, 3], [4.5, 5, 6], [np.nan] * 3]

SAME = {
    "blanks": "1 2 3\n4.5 5 6\nnan nan nan\n",
    "commas": "1,2,3\n4.5,5,6\nNaN,NaN,NaN\n",
    "commas-and-blanks": "1, 2 ,3\n4.5 , 5, 6\nnan, nan, nan",
    "tabs": "1\t2\t3\n4.5\t5\t6\nnan\tnan\tnan\n",
    "numpy-savetxt": "1.0e+00 2.0e+00 3.0e+00\n4.5e+00 5.0e+00 6.0e+00\nnan nan nan\n",
    "blanks-around": "   1   2   3  \n  4.5 5 6\n nan nan nan \n\n  \n",
    "windows": "1 2 3\r\n4.5 5 6\r\nnan nan nan\r\n",
    "byte-order-mark": "\ufeff1 2 3\n4.5 5 6\nnan nan nan\n",
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME.keys())
def test_every_flavour_gives_the_same_positions(save, text):
    framed = read_voxel_rows(save(text), None, ())
    assert framed.names == ("1", "2", "3")
    assert framed.frame == "voxel"
    np.testing.assert_array_equal(framed.positions, ROWS)


def test_unwanted_lines_are_counted_from_0_and_names_of_lines_from_1(save):
    path = save("0 0 0\n1 1 1\n2 2 2\n3 3 3\n")
    framed = read_voxel_rows(path, None, [3, 1])
    assert framed.names == ("1", "3")
    assert framed.positions.tolist() == [[0, 0, 0], [2, 2, 2]]
    assert read_voxel_rows(path, ["a", "ß"], [3, 1]).names == ("a", "ß")


INVALID = {
    "empty": ("", None, (), "empty"),
    "not-utf-8": (b"1 2 \xff\n", None, (), "not UTF-8"),
    "two-coordinates": ("1 2 3\n4 5\n", None, (), "line 2: '4 5' is not three"),
    "four-coordinates": ("1 2 3 4\n", None, (), "line 1: .* is not three"),
    "comma-twice": ("1,,2,3\n", None, (), "line 1: .* is not three"),
    "blank-line-between": ("1 2 3\n\n4 5 6\n", None, (), "line 2: '' is not three"),
    "text": ("1 2 3\n4 five 6\n", None, (), "line 2: landmark, y: 'five'"),
    "infinite": ("inf 2 3\n", None, (), "x: 'inf'"),
    "part": ("1 nan 3\n", None, (), "position in part"),
    "names-too-few": ("1 2 3\n4 5 6\n", ["a"], (), "2 of its 2 lines are wanted.*has 1 names"),
    "names-too-many": ("1 2 3\n4 5 6\n", ["a", "b"], [0], "1 of its 2 lines.*has 2 names"),
    "names-twice": ("1 2 3\n4 5 6\n", ["a", "a"], (), "occur twice: a;"),
    "name-empty": ("1 2 3\n", [""], (), "landmark 1 has no label"),
    "unwanted-outside": ("1 2 3\n", None, [1], "no line 1; its 1 lines"),
    "unwanted-negative": ("1 2 3\n", None, [-1], "no line -1"),
    "unwanted-twice": ("1 2 3\n4 5 6\n", None, [0, 0], r"data.unwanted=\[0, 0\] has a line twice"),
    "all-unwanted": ("1 2 3\n", None, [0], "holds no landmarks"),
}


@pytest.mark.parametrize(("text", "names", "unwanted", "message"), INVALID.values(), ids=INVALID)
def test_invalid_files_are_refused(save, text, names, unwanted, message):
    path = save(text)
    with refused(path, message):
        read_voxel_rows(path, names, unwanted)

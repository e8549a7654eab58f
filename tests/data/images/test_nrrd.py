"""NRRD headers written by hand, with the affine that the format's definition gives."""

import bz2
import gzip

import numpy as np
import pytest
from refusals import refused
from volume_by_hand import AFFINE, RAW, VOXELS, check, check_by_itk

from pin_lightning.data.images.parts import parts
from pin_lightning.data.images.reading import read_header, read_voxels

# A step along the first axis is 2 mm to the left, along the second 3 mm up, the third 4 mm back.
FIELDS = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "2 3 4",
    "space directions": "(2,0,0) (0,0,3) (0,4,0)",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(10,20,30)",
}


def write(path, voxels=RAW, **changes):
    """A header and voxels; a change of None leaves a field out, underscores are blanks."""
    fields = FIELDS | {name.replace("_", " "): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    path.write_bytes("\n".join(["NRRD0004", *lines, "", ""]).encode() + voxels)
    return path


def test_by_hand_and_as_itk_reads_it(tmp_path):
    path = write(tmp_path / "a.nrrd")
    check(path)
    check_by_itk(path)


SPACES = {
    "RAS": [1, 1, 1],
    "right-anterior-superior": [1, 1, 1],
    "LAS": [-1, 1, 1],
    "lps": [-1, -1, 1],
    "Left-Posterior-Superior": [-1, -1, 1],
}


@pytest.mark.parametrize(("space", "signs"), SPACES.items())
def test_spaces(tmp_path, space, signs):
    expected = AFFINE.copy()
    expected[:3] = np.diag(signs) @ [[2, 0, 0, 10], [0, 0, 4, 20], [0, 3, 0, 30]]
    check(write(tmp_path / "a.nrrd", space=space), affine=expected)


ENCODED = {
    "raw": {},
    "big": {"endian": "big", "voxels": VOXELS.astype(">i2").tobytes(order="F")},
    "gzip": {"encoding": "gzip", "voxels": gzip.compress(RAW)},
    "gz in two members": {
        "encoding": "gz",
        "voxels": gzip.compress(RAW[:9]) + gzip.compress(RAW[9:]),
    },
    "bzip2": {"encoding": "bzip2", "voxels": bz2.compress(RAW)},
    "text": {"encoding": "text", "voxels": b" ".join(b"%d" % one for one in range(24))},
    "lines and bytes skipped": {"line_skip": "2", "byte_skip": "3", "voxels": b"a\nb\nxyz" + RAW},
    "voxels are last": {"byte_skip": "-1", "voxels": b"something before" + RAW},
    "padded": {"voxels": RAW + bytes(100)},
    "remarks and keys": {"# a": "b", "key:=": "value", "a:b:=": "1", "content": "a:=b"},
    "millimetres": {"space_units": '"mm" "mm" "millimeters"'},
    "spacings of axes in space": {"spacings": "nan 3 4"},
    "one more axis": {
        "dimension": "4",
        "sizes": "1 2 3 4",
        "space directions": "none (2,0,0) (0,0,3) (0,4,0)",
    },
}


@pytest.mark.parametrize("changes", ENCODED.values(), ids=ENCODED)
def test_voxels_however_they_are_written(tmp_path, changes):
    check(write(tmp_path / "a.nrrd", **changes))


def test_voxels_in_files_beside_the_header(tmp_path):
    halves = [RAW[: len(RAW) // 2], RAW[len(RAW) // 2 :]]
    (tmp_path / "below").mkdir()
    files = [tmp_path / "below" / f"s{number:02d}.raw" for number in (8, 10)]
    for file, half in zip(files, halves, strict=True):
        file.write_bytes(half)
    (tmp_path / "below" / "s09.raw").write_text("not named")
    numbered = write(tmp_path / "a.nhdr", b"", data_file="below/s%02d.raw 8 10 2")
    listed = write(tmp_path / "b.nhdr", b"", data_file="LIST\nbelow/s08.raw\nbelow/s10.raw")
    for path in (numbered, listed):
        check(path)
        assert parts(path) == sorted([path, *files])


UNITS = ["um", "microns", "micrometer", "m", "meters", "cm", "inch", "pixels"]


@pytest.mark.parametrize("unit", UNITS)
def test_other_units_than_millimetres_are_refused(tmp_path, unit):
    quoted = write(tmp_path / "a.nrrd", space_units=" ".join([f'"{unit}"'] * 3))
    plain = write(tmp_path / "b.nrrd", space_units=f"mm mm {unit}")
    for path in (quoted, plain):
        with refused(path, f"its units are {unit}; save it in millimetres"):
            read_header(path)


BAD = {
    "no place": (
        {"space": None, "space_directions": None, "space_origin": None},
        "without space, space directions, space origin, so that its place depends",
    ),
    "no space": ({"space": None}, "without space, "),
    "spacings only": (
        {"space": None, "space_directions": None, "spacings": "2 3 4"},
        "without space, space directions, ",
    ),
    "no origin": ({"space_origin": None}, "without space origin, "),
    "dimension of the space only": ({"space": None, "space_dimension": "3"}, "without space, "),
    "scanner's axes": ({"space": "scanner-xyz"}, "'scanner-xyz' has no left and right"),
    "contradicting spacings": ({"spacings": "1 1 1"}, "contradicts its space directions"),
    "colours": (
        {
            "dimension": "4",
            "sizes": "3 2 3 4",
            "space directions": "none (2,0,0) (0,0,3) (0,4,0)",
        },
        "has 3 channels",
    ),
    "too few directions": ({"space_directions": "(2,0,0) (0,0,3)"}, "2 space directions of 3"),
    "a short direction": ({"space_directions": "(2,0) (0,0,3) (0,4,0)"}, "is not 3 numbers"),
    "words": ({"space_origin": "(a,b,c)"}, "is not 3 numbers"),
    "sizes of words": ({"sizes": "2 3 x"}, "sizes: '2 3 x' is not 3 numbers"),
    "sizes of fractions": ({"sizes": "2 3 4.5"}, "is not whole"),
    "sizes of 0": ({"sizes": "0 3 4"}, "has shape"),
    "negative sizes": ({"sizes": "-2 -3 4"}, "has shape"),
    "huge sizes": ({"sizes": "100000 100000 100000"}, "over 4294967296 voxels"),
    "too few sizes": ({"sizes": "2 3"}, "is not 3 numbers"),
    "dimension": ({"dimension": "three"}, "dimension: 'three'"),
    "another type": ({"type": "block"}, "type: 'block' is not read"),
    "another encoding": ({"encoding": "zrl"}, "encoding: 'zrl' is not read"),
    "no encoding": ({"encoding": None}, "no encoding"),
    "no byte order": ({"endian": None}, "no endian"),
    "a field twice": ({"Sizes": "2 3 4"}, "header line 'Sizes"),
    "no field": ({"sizes: 2 3 4\nnothing at all\nkinds": "domain"}, "header line"),
    "skipped too far": ({"byte_skip": "1000"}, "0 of 48 bytes"),
    "compressed and skipped": ({"encoding": "gzip", "byte_skip": "4"}, "byte skip: 4"),
    "tiny voxels": ({"space_directions": "(1e-6,0,0) (0,0,3) (0,4,0)"}, "0.0001 to 1000 mm"),
    "huge voxels": ({"space_directions": "(1e9,0,0) (0,0,3) (0,4,0)"}, "0.0001 to 1000 mm"),
    "far away": ({"space_origin": "(1e30,0,0)"}, "over 1e.06 mm away"),
    "nowhere": ({"space_origin": "(nan,0,0)"}, "singular"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_bad_headers_are_refused_in_one_line(tmp_path, changes, message):
    path = write(tmp_path / "a.nrrd", **changes)
    with refused(path, message):
        print(read_header(path), read_voxels(path))


OUTSIDE = ["/etc/passwd", "../a.raw", "below/../../a.raw", "C:\\a.raw", "..\\a.raw"]
OUTSIDE += ["../s%02d.raw 1 2 1", "LIST\na.raw\n/etc/hostname"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_files_elsewhere_are_not_read(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "a.raw").write_bytes(RAW)
    path = write(folder / "a.nhdr", b"", data_file=name)
    with refused(path, "outside of its folder"):
        read_header(path)
    assert parts(path) == [path]


BAD_VOXELS = {
    "short": (RAW[:-1], {}, "47 of 48 bytes"),
    "long": (RAW + bytes(5000), {}, "more than the 48 bytes"),
    "short gzip": (gzip.compress(RAW[:-1]), {"encoding": "gzip"}, "47 of 48 bytes"),
    "long gzip": (gzip.compress(RAW + bytes(5000)), {"encoding": "gzip"}, "more than the 48"),
    "cut gzip": (gzip.compress(RAW)[:-3], {"encoding": "gzip"}, "cut short"),
    "no gzip": (RAW, {"encoding": "gzip"}, "damaged compression"),
    "cut bzip2": (bz2.compress(RAW)[:-3], {"encoding": "bzip2"}, "ended before"),
    "few numbers": (b"1 2 3", {"encoding": "text"}, "3 of 24 numbers"),
    "words": (b"a " * 24, {"encoding": "text"}, "not numbers"),
    "large numbers": (b"32768 " * 24, {"encoding": "text"}, "beyond int16"),
    "promised too much": (
        gzip.compress(RAW),
        {"encoding": "gzip", "sizes": "900 900 900"},
        "at most",
    ),
}


@pytest.mark.parametrize(("voxels", "changes", "message"), BAD_VOXELS.values(), ids=BAD_VOXELS)
def test_bad_voxels_are_refused_in_one_line(tmp_path, voxels, changes, message):
    path = write(tmp_path / "a.nrrd", voxels, **changes)
    read_header(path)
    with refused(path, f"cannot be read as an image .*{message}"):
        read_voxels(path)

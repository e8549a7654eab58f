"""MetaImage headers written by hand, with the affine that MetaIO's definition gives."""

import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from refusals import refused
from volume_by_hand import RAW, VOXELS, check, check_by_itk

from pin_lightning.data.images.parts import parts
from pin_lightning.data.images.reading import read_header, read_voxels

# Rows of the matrix are the axes: to the left, up, and to the back.
FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 0 1 0 1 0",
    "Offset": "10 20 30",
    "ElementSpacing": "2 3 4",
    "DimSize": "2 3 4",
    "ElementType": "MET_SHORT",
}


def write(path, voxels=RAW, file="LOCAL", **changes):
    """A header and voxels; a change of None leaves a field out."""
    fields = FIELDS | changes
    lines = [f"{name} = {value}" for name, value in fields.items() if value is not None]
    content = "\n".join([*lines, f"ElementDataFile = {file}", ""]).encode()
    path.write_bytes(content + voxels if file == "LOCAL" else content)
    return path


def test_by_hand_and_as_itk_reads_it(tmp_path):
    path = write(tmp_path / "a.mha")
    check(path)
    check_by_itk(path)


ENCODED = {
    "raw": {},
    "other names": {
        **{"Offset": None, "Origin": "10 20 30", "ElementSpacing": None, "ElementSize": "2 3 4"},
        **{"TransformMatrix": None, "Rotation": FIELDS["TransformMatrix"]},
    },
    "big": {"BinaryDataByteOrderMSB": "True", "voxels": VOXELS.astype(">i2").tobytes(order="F")},
    "zlib without its size": {"CompressedData": "True", "voxels": zlib.compress(RAW)},
    "zlib with its size": {
        **{"CompressedData": "True", "CompressedDataSize": str(len(zlib.compress(RAW)))},
        "voxels": zlib.compress(RAW),
    },
    "text": {"BinaryData": "False", "voxels": b" ".join(b"%d" % one for one in range(24))},
    "voxels are last": {"HeaderSize": "-1", "voxels": b"something before" + RAW},
    "millimetres": {"DistanceUnits": "mm"},
    "of NIfTI": {"xyzt_units": "2", "qform_code_name": "NIFTI_XFORM_SCANNER_ANAT"},
}


@pytest.mark.parametrize("changes", ENCODED.values(), ids=ENCODED)
def test_voxels_however_they_are_written(tmp_path, changes):
    check(write(tmp_path / "a.mha", **changes))


TYPES = {"UCHAR": "u1", "CHAR": "i1", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4"}
TYPES |= {"LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}


@pytest.mark.parametrize(("name", "dtype"), TYPES.items())
def test_types_as_itk_reads_them(tmp_path, name, dtype):
    voxels = VOXELS.astype(f"<{dtype}")
    path = write(tmp_path / "a.mha", voxels.tobytes(order="F"), ElementType=f"MET_{name}")
    check(path, voxels)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T, voxels)


def test_voxels_in_files_beside_the_header(tmp_path):
    files = [tmp_path / f"s{number}.raw" for number in range(4)]
    for number, file in enumerate(files):
        file.write_bytes(RAW[12 * number : 12 * number + 12])
    numbered = write(tmp_path / "a.mhd", file="s%d.raw 0 3 1")
    listed = write(tmp_path / "b.mhd", file="LIST\ns0.raw\ns1.raw\ns2.raw\ns3.raw")
    for path in (numbered, listed):
        check(path)
        assert parts(path) == sorted([path, *files])


BAD = {
    "no place": (
        {"ElementSpacing": None, "Offset": None, "TransformMatrix": None},
        "without ElementSpacing, Offset, TransformMatrix, so that its place depends",
    ),
    "no spacing": ({"ElementSpacing": None}, "without ElementSpacing, "),
    "no offset": ({"Offset": None}, "without Offset, .*add the line"),
    "no matrix": ({"TransformMatrix": None}, "without TransformMatrix, "),
    "offset twice": ({"Position": "1 2 3"}, "header line 'Position"),
    "micrometres": ({"DistanceUnits": "um"}, "its units are um; save it in millimetres"),
    "rescaled": ({"ElementToIntensityFunctionSlope": "2"}, "ElementToIntensityFunction"),
    "long axes": ({"TransformMatrix": "2 0 0 0 2 0 0 0 2"}, "axes not of length 1"),
    "colours": ({"ElementNumberOfChannels": "3"}, "has 3 channels"),
    "no NDims": ({"NDims": None}, "no NDims"),
    "NDims of words": ({"NDims": "three"}, "NDims: 'three'"),
    "NDims of 0": ({"NDims": "0"}, "NDims: 0"),
    "negative NDims": ({"NDims": "-3"}, "NDims: -3"),
    "huge NDims": ({"NDims": "1000000000"}, "NDims: 1000000000"),
    "other NDims": ({"NDims": "4"}, "DimSize: '2 3 4' is not 4 numbers"),
    "no DimSize": ({"DimSize": None}, "no DimSize"),
    "DimSize of words": ({"DimSize": "2 3 x"}, "is not 3 numbers"),
    "DimSize of 0": ({"DimSize": "2 3 0"}, "has shape"),
    "negative DimSize": ({"DimSize": "2 -3 -4"}, "has shape"),
    "huge DimSize": ({"DimSize": "99999999 99999999 99999999"}, "over 4294967296 voxels"),
    "type": ({"ElementType": "MET_OTHER"}, "ElementType: 'MET_OTHER'"),
    "no type": ({"ElementType": None}, "no ElementType"),
    "compressed or not": ({"CompressedData": "maybe"}, "CompressedData: 'maybe'"),
    "another object": ({"ObjectType": "Mesh"}, "ObjectType: 'Mesh'"),
    "spacing of 1e-6": ({"ElementSpacing": "1e-6 1 1"}, "0.0001 to 1000 mm"),
    "spacing of 1e9": ({"ElementSpacing": "1e9 1 1"}, "0.0001 to 1000 mm"),
    "no file": ({"file": ""}, "no file of voxels is named"),
    "absent file": ({"file": "b.raw"}, "b.raw: no such file"),
    "a folder": ({"file": "."}, "not a regular file"),
    "no files": ({"file": "LIST"}, "no file of voxels is named"),
    "too many files": ({"file": "s%d.raw 1 2000000000 1"}, "too many"),
    "more files than images have": ({"file": "s%d.raw 1 99999 1"}, "too many"),
    "very many listed": ({"file": "LIST\n" + 10_001 * "a.raw\n"}, "too many"),
    "no step": ({"file": "s%d.raw 1 2 0"}, "too many"),
    "itself": ({"file": "a.mha"}, "names itself"),
    "endless text": ({"BinaryData": "False", "voxels": b" " * 10_000}, "more than 24 numbers need"),
    "elsewhere": ({"file": "/etc/passwd"}, "outside of its folder"),
    "above": ({"file": "../a.raw"}, "outside of its folder"),
    "listed elsewhere": ({"file": "LIST\n../a.raw"}, "outside of its folder"),
    "numbered elsewhere": ({"file": "../a%d.raw 1 4 1"}, "outside of its folder"),
    "short": ({"voxels": RAW[:-1]}, "47 of 48 bytes"),
    "not compressed": ({"CompressedData": "True"}, "damaged compression"),
    "cut compression": (
        {"CompressedData": "True", "voxels": zlib.compress(RAW)[:-3]},
        "cut short",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, changes, message):
    path = write(tmp_path / "a.mha", **changes)
    with refused(path, message):
        print(read_header(path), read_voxels(path))


def test_a_header_without_a_file_of_voxels_is_refused(tmp_path):
    path = tmp_path / "a.mha"
    path.write_text("ObjectType = Image\nNDims = 3\n")
    with refused(path, "without ElementDataFile"):
        read_header(path)

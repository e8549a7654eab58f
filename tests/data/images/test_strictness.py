"""Files that lie about themselves: suffixes, sizes, pipes and bombs."""

import gzip
import logging
import math
import os
import socket
import struct
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from refusals import refused

from pin_lightning.data.images import limits
from pin_lightning.data.images.dicom import holds_dicom
from pin_lightning.data.images.dicom_file import is_dicom
from pin_lightning.data.images.limits import check_size
from pin_lightning.data.images.reading import IMAGE_SUFFIXES, read_header, read_voxels

SHAPE = (4, 5, 6)
VOXELS = np.arange(120, dtype=np.int16).reshape(SHAPE)
AFFINE = np.array([[-2.0, 0, 0, -10], [0, 0, -4, -20], [0, 3, 0, 30], [0, 0, 0, 1]])
SFORM, VOX_OFFSET, DIM, PIXDIM, UNITS, MAGIC = 280, 108, 40, 76, 123, 344  # offsets in bytes


def nifti(**changes):
    """Bytes of a NIfTI file, some of whose header is changed: offset, format and values."""
    image = nib.Nifti1Image(VOXELS, AFFINE)
    image.set_qform(AFFINE, 1)
    content = bytearray(image.to_bytes())
    for offset, form, *values in changes.values():
        struct.pack_into(form, content, offset, *values)
    return bytes(content)


def check(path):
    shape, affine = read_header(path)
    assert shape == SHAPE
    np.testing.assert_allclose(affine, AFFINE)
    np.testing.assert_array_equal(read_voxels(path), VOXELS)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_content_decides_whether_nifti_is_compressed(tmp_path, name, is_compressed):
    path = tmp_path / name
    path.write_bytes(gzip.compress(nifti()) if is_compressed else nifti())
    check(path)


@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_content_decides_whether_mgh_is_compressed(tmp_path, name, is_compressed):
    content = nib.MGHImage(VOXELS, AFFINE).to_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if is_compressed else content)
    check(path)


def test_a_pair_is_no_single_file_and_the_reverse(tmp_path):
    (tmp_path / "a.nii").write_bytes(nifti(magic=(MAGIC, "4s", b"ni1")))
    (tmp_path / "b.hdr").write_bytes(nifti())
    for name in ("a.nii", "b.hdr"):
        with refused(tmp_path / name, "unlike its name; rename it"):
            read_header(tmp_path / name)


@pytest.mark.parametrize("slope", [2.0, 0.1, 0.0, np.nan])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_rescaled_voxels_are_those_of_nibabel(tmp_path, slope, is_compressed):
    content = nifti(slope=(112, "<ff", slope, 3.5))
    path = tmp_path / ("a.nii.gz" if is_compressed else "a.nii")
    path.write_bytes(gzip.compress(content) if is_compressed else content)
    expected = np.asarray(nib.load(path).dataobj)
    found = read_voxels(path)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("offset", [0, 348, 351, 352.5, 1e9, -16, np.nan])
def test_voxels_that_begin_within_the_header_are_refused(tmp_path, offset):
    path = tmp_path / "a.nii"
    path.write_bytes(nifti(offset=(VOX_OFFSET, "<f", offset)))
    with refused(path, "vox_offset=|cannot be read"):
        read_header(path)


def test_sform_and_qform_that_differ_by_more_than_a_tenth_of_a_voxel(tmp_path, caplog):
    # The sform's x moved by 0.15 and by 0.25 mm; the smallest side is 2 mm.
    for name, x in (("a.nii", -10.15), ("b.nii", -10.25)):
        (tmp_path / name).write_bytes(nifti(x=(SFORM + 12, "<f", x)))
    with caplog.at_level(logging.WARNING):
        affines = [read_header(tmp_path / name)[1] for name in ("a.nii", "b.nii", "b.nii")]
    assert [float(affine[0, 3]) for affine in affines] == pytest.approx([-10.15, -10.25, -10.25])
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{tmp_path / 'b.nii'}: sform and qform are 0.25 mm")
    assert "the sform is taken" in record.getMessage()


BAD = {
    "metres": ({"units": (UNITS, "<b", 1)}, "its units are metres; save it in millimetres"),
    "another unit": ({"units": (UNITS, "<b", 5)}, "of an unknown code"),
    "tiny voxels": ({"pixdim": (PIXDIM + 4, "<f", 1e-6)}, "not within 0.0001 to 1000 mm"),
    "huge voxels": ({"pixdim": (PIXDIM + 4, "<f", 1e9)}, "not within 0.0001 to 1000 mm"),
    "tiny sform": ({"sform": (SFORM, "<f", 1e-7), "q": (252, "<h", 0)}, "not within 0.0001"),
    "side of 0": ({"dim": (DIM + 2, "<h", 0)}, "has shape"),
    "huge sides": ({"dim": (DIM + 2, "<hhh", 32000, 32000, 32000)}, "over 4294967296 voxels"),
    "far away": ({"x": (SFORM + 12, "<f", 1e20), "q": (252, "<h", 0)}, "mm away"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_headers_out_of_bounds_are_refused(tmp_path, changes, message):
    path = tmp_path / "a.nii"
    path.write_bytes(nifti(**changes))
    for read in (read_header, read_voxels):
        with refused(path, message):
            read(path)


def test_more_than_the_header_promises_is_not_inflated(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti() + bytes(50_000_000), compresslevel=1))
    tracemalloc.start()
    read_header(path)
    with refused(path, "more than the .* bytes"):
        read_voxels(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


def test_memory_is_bounded_before_it_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "a.nii"
    monkeypatch.setattr(limits, "memory_bytes", lambda: math.inf)
    check_size(path, (1625, 1625, 1625), 1)
    with refused(path, "over 4294967296 voxels; crop it"):
        check_size(path, (1626, 1626, 1626), 1)
    monkeypatch.setattr(limits, "memory_bytes", lambda: 4e9)
    check_size(path, (1000, 1000, 1000), 2)  # worked on with 4 bytes
    with refused(path, "needs 8 GB of memory; this machine has 4 GB"):
        check_size(path, (1000, 1000, 1000), 8)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_pipes_sockets_and_folders_are_not_waited_for(tmp_path, suffix, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    os.mkfifo(f"pipe{suffix}")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"socket{suffix}")
        for name in ("pipe", "socket"):
            with refused(Path(f"{name}{suffix}"), "not a regular file"):
                read_header(Path(f"{name}{suffix}"))
    Path(f"folder{suffix}").mkdir()
    with refused(Path(f"folder{suffix}"), "without DICOM images"):
        read_header(Path(f"folder{suffix}"))
    os.mkfifo(f"folder{suffix}/pipe")
    assert not holds_dicom(Path(f"folder{suffix}"))


def test_a_pipe_of_voxels_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.img")
    (tmp_path / "a.hdr").write_bytes(nifti(magic=(MAGIC, "4s", b"ni1"))[:348])
    with refused(tmp_path / "a.hdr", "a.img: not a regular file"):
        read_header(tmp_path / "a.hdr")


PREAMBLE = bytes(128) + b"DICM"
UID = b"1.2.840.10008.5.1.4.1.1.2\0"
IMPLICIT = b"\x08\x00\x16\x00" + struct.pack("<I", len(UID)) + UID
CONTENTS = {
    "preamble": (PREAMBLE, True),
    "no preamble": (IMPLICIT, True),
    "no preamble, explicit": (
        b"\x08\x00\x16\x00UI" + struct.pack("<H", len(UID)) + UID,
        True,
    ),
    "meta group, no preamble": (b"\x02\x00\x02\x00UI" + struct.pack("<H", len(UID)) + UID, True),
    "text of a UID": (b"uid " + UID, False),
    "other bytes": (b"\x08\x00" + bytes(500), False),
    "empty": (b"", False),
}


@pytest.mark.parametrize(("content", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_what_is_dicom_by_its_content(tmp_path, content, expected):
    (tmp_path / "IM1").write_bytes(content)
    assert is_dicom(tmp_path / "IM1") == expected
    assert holds_dicom(tmp_path) == expected
    (tmp_path / "IM1").rename(tmp_path / "._IM1")
    assert not holds_dicom(tmp_path)

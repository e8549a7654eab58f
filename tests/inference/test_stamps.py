import errno
import os

from pin_lightning.inference.stamps import ABSENT, UNKNOWN, stamp_of


def test_a_file_that_changes_has_another_stamp(tmp_path):
    path = tmp_path / "a.nii"
    assert stamp_of(path) == ABSENT
    path.write_bytes(b"12")
    os.utime(path, ns=(10**18, 10**18))
    first = stamp_of(path)
    assert stamp_of(path) == first != ABSENT
    path.write_bytes(b"123")
    os.utime(path, ns=(10**18, 10**18))
    assert stamp_of(path) != first
    path.write_bytes(b"21")
    os.utime(path, ns=(10**18, 10**18 - 1))  # a clock that went back
    assert stamp_of(path) != first
    os.utime(path, ns=(10**18, 10**18))
    assert stamp_of(path) == first


def test_a_series_is_all_its_files_and_an_index_among_them(tmp_path):
    for name in ("1.dcm", "2.dcm"):
        (tmp_path / name).write_bytes(b"1")
    first = stamp_of(tmp_path)
    (tmp_path / "3.dcm").write_bytes(b"1")
    second = stamp_of(tmp_path)
    (tmp_path / "3.dcm").rename(tmp_path / "4.dcm")
    assert len({first, second, stamp_of(tmp_path)}) == 3


def test_voxels_beside_their_header_count_and_other_files_do_not(tmp_path):
    for name in ("a[1].mhd", "a[1].raw", "ab.raw"):
        (tmp_path / name).write_bytes(b"1")
    first = stamp_of(tmp_path / "a[1].mhd")
    (tmp_path / "ab.raw").write_bytes(b"123")
    assert stamp_of(tmp_path / "a[1].mhd") == first
    (tmp_path / "a[1].mrk.json").write_bytes(b"of landmarks")
    assert stamp_of(tmp_path / "a[1].mhd") == first
    (tmp_path / "a[1].raw").write_bytes(b"123")
    assert stamp_of(tmp_path / "a[1].mhd") != first


def test_what_is_not_there_and_what_the_system_does_not_tell(tmp_path, monkeypatch):
    (tmp_path / "a.nii").touch()
    for path in ("b.nii", "b.mhd", "a.nii/c.nii"):
        assert stamp_of(tmp_path / path) == ABSENT

    def fails(*_, **__):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("pathlib.Path.stat", fails)
    assert stamp_of(tmp_path / "a.nii") == UNKNOWN


def test_a_link_is_what_it_leads_to(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "a.nii")
    before = stamp_of(tmp_path / "link")
    (tmp_path / "a.nii").write_bytes(b"12")
    assert stamp_of(tmp_path / "link") != before

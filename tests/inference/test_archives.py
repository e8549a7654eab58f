"""Volumes in tar archives, as of WebDataset, and at addresses."""

import io
import os
import tarfile

import fsspec
import pytest

from pin_lightning.inference.files import ABSENT, UNKNOWN, members
from pin_lightning.inference.inputs import find_inputs
from pin_lightning.inference.part import Part


def archive(path, files, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def contents(inputs):
    """What each file holds, and that no copy of it is left."""
    found = {}
    for name, one in inputs.items():
        with one.file.local() as path:
            found[name] = (path.name, path.read_bytes())
        assert one.file.shown.startswith(("memory:", str(path.parent))) or not path.exists()
    return found


SAMPLES = {
    **{"sub-1.nii.gz": b"one", "sub-1.json": b"{}", "sub-2.nii.gz": b"two" * 1000},
    **{"deep/sub-2.nii.gz": b"three", "._sub-1.nii.gz": b"of a Mac", "sub-3.cls": b"0"},
}


def test_images_of_an_archive_are_read_by_themselves(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    shard = archive(folder / "shard-0.tar", SAMPLES)
    (folder / "b.nii").write_bytes(b"beside")
    found = find_inputs(str(folder))
    # Where stems are the same in an archive, folders are told, too; at its top there is none.
    assert contents(found) == {
        "b": ("b.nii", b"beside"),
        "shard-0_sub-1": ("sub-1.nii.gz", b"one"),
        "shard-0_sub-2": ("sub-2.nii.gz", b"two" * 1000),
        "shard-0_deep_sub-2": ("sub-2.nii.gz", b"three"),
    }
    one = next(one for one in found.values() if one.key.endswith("deep/sub-2.nii.gz"))
    assert one.key == "shard-0.tar/deep/sub-2.nii.gz"
    assert one.file.shown == one.file.source == f"{shard}/deep/sub-2.nii.gz"
    assert find_inputs(f"{folder}/*.tar").keys() == find_inputs(str(shard)).keys()


def test_a_later_file_of_the_same_name_counts(tmp_path):
    """As for tar itself."""
    shard = archive(tmp_path / "a.tar", {"x.nii": b"old"})
    archive(shard, {"x.nii": b"new"}, "a")
    assert contents(find_inputs(str(shard))) == {"a_x": ("x.nii", b"new")}


def test_all_of_an_archive_are_of_one_part_and_others_are_not_opened(tmp_path):
    for number in range(8):
        archive(tmp_path / f"{number}.tar", {f"{name}.nii": b"" for name in "abc"})
    parts = [Part(number, 2) for number in (1, 2)]
    shares = [set(find_inputs(f"{tmp_path}/*.tar", part.holds)) for part in parts]
    assert shares[0] | shares[1] == {f"{n}_{name}" for n in range(8) for name in "abc"}
    assert not shares[0] & shares[1]
    assert all({name[0] for name in share} for share in shares)
    own, other = ({name[0] for name in share} for share in shares)
    (tmp_path / f"{min(other)}.tar").write_bytes(b"damaged")
    assert {name[0] for name in find_inputs(f"{tmp_path}/*.tar", parts[0].holds)} == own


def test_names_of_any_bytes_and_links_to_other_files(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "a.tar", "w", errors="surrogateescape") as tar:
        for name, content in (("M\udcfc.nii", b"one"), ("x.nii", b"two")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        member = tarfile.TarInfo("y.nii")
        member.type, member.linkname = tarfile.LNKTYPE, "x.nii"
        tar.addfile(member)
        folder = tarfile.TarInfo("folder")
        tar.addfile(folder)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    found = find_inputs("a.tar")
    assert {name: content for name, (_, content) in contents(found).items()} == {
        **{"a_M%FC": b"one", "a_x": b"two", "a_y": b"two"}
    }
    assert found["a_M%FC"].file.source == f"{tmp_path}/a.tar/M%FC.nii"
    assert found["a_x"].file.shown == "a.tar/x.nii"


def test_a_changed_archive_has_another_stamp(tmp_path):
    shard = archive(tmp_path / "a.tar", {"x.nii": b"old"})
    os.utime(shard, (1, 1))
    [before] = find_inputs(str(shard)).values()
    assert before.file.stamp() == next(iter(find_inputs(str(shard)).values())).file.stamp()
    archive(shard, {"x.nii": b"new"})
    [after] = find_inputs(str(shard)).values()
    assert after.file.stamp() != before.file.stamp()


@pytest.mark.parametrize("kind", ["compressed", "text", "torn", "absent"])
def test_what_is_no_archive_is_named(tmp_path, kind):
    path = tmp_path / "a.tar"
    archive(path, SAMPLES, "w:gz" if kind == "compressed" else "w")
    if kind in ("text", "torn"):
        whole = path.read_bytes()
        path.write_bytes(b"no archive" * 100 if kind == "text" else whole[:700])
    if kind == "absent":
        path.unlink()
        (tmp_path / "list").write_text(f"{path}\n")
    given = f"@{tmp_path}/list" if kind == "absent" else str(path)
    with pytest.raises(
        ValueError, match=r"input=\S+a\.tar: cannot be read as a tar archive \(.+\);"
    ):
        find_inputs(given)


@pytest.fixture
def memory():
    """A file system that fsspec knows, with a few files."""
    files = fsspec.filesystem("memory")
    for path in ("scans/a.nii.gz", "scans/x/b.nii.gz", "scans/x/notes.txt"):
        files.pipe(f"/bucket/{path}", path.encode())
    yield files
    files.store.clear()


def test_files_at_addresses(memory, tmp_path):
    found = find_inputs("memory://bucket/scans/**/*.nii.gz")
    assert contents(found) == {
        **{"a": ("a.nii.gz", b"scans/a.nii.gz"), "b": ("b.nii.gz", b"scans/x/b.nii.gz")}
    }
    assert {name: one.key for name, one in found.items()} == {"a": "a.nii.gz", "b": "x/b.nii.gz"}
    assert [one.file.shown for one in found.values()] == [
        *("memory:///bucket/scans/a.nii.gz", "memory:///bucket/scans/x/b.nii.gz")
    ]
    assert set(find_inputs("memory://bucket/scans")) == {"a"}
    assert set(find_inputs("memory://bucket/scans/x/b.nii.gz")) == {"b"}
    (tmp_path / "list").write_text("memory://bucket/scans/a.nii.gz\nmemory://bucket/none.nii\n")
    listed = find_inputs(f"@{tmp_path}/list")
    assert listed["none"].file.stamp() == ABSENT
    assert listed["a"].file.stamp() == found["a"].file.stamp()
    memory.pipe("/bucket/scans/x/._c.nii.gz", b"of a Mac")
    assert set(find_inputs("memory://bucket/scans/**")) == {"a", "b", "notes.txt"}
    memory.pipe("/bucket/scans/a.nii.gz", b"longer than before")
    assert listed["a"].file.stamp() != found["b"].file.stamp()


def test_a_server_that_does_not_answer_is_asked_again(memory, monkeypatch):
    [one] = find_inputs("memory://bucket/scans").values()

    def fails(*_, **__):
        raise PermissionError("403")

    monkeypatch.setattr(type(memory), "info", fails)
    assert one.file.stamp() == UNKNOWN


def test_archives_at_addresses(memory, tmp_path):
    memory.put(str(archive(tmp_path / "a.tar", SAMPLES)), "/bucket/shards/a.tar")
    found = find_inputs("memory://bucket/shards/*.tar")
    assert set(found) >= {"a_sub-1"}
    assert contents(found)["a_sub-1"] == ("sub-1.nii.gz", b"one")
    assert len(members(found["a_sub-1"].file.archive)) == len(SAMPLES)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere://a/*.nii", "Protocol not known: nowhere"),
        ("memory://bucket/nothing/*.nii", "no file matches"),
    ],
)
def test_what_is_at_no_address_is_named(memory, address, said):
    with pytest.raises(ValueError, match=rf"input={address[:7]}.*{said}"):
        find_inputs(address)

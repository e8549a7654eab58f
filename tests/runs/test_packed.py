import hashlib
import json
import stat
import zipfile
from functools import partial

import pytest

from pin_lightning.runs import packed
from pin_lightning.runs.formats import FORMAT_VERSION
from pin_lightning.runs.packed import unpack, write_packed

FILES = {
    "config.yaml": b"seed: 0\n",
    "checkpoints/last.ckpt": bytes(range(256)) * 4,
    "first_stage/run.json": b"{}",
    "fold0/predictions.csv": b"",
}


@pytest.fixture
def staged(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "staged" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "staged"


@pytest.fixture
def file(staged, tmp_path):
    write_packed(tmp_path / "skulls.zip", staged, "skulls", "1.2")
    return tmp_path / "skulls.zip"


def content_of(folder):
    paths = [one for one in folder.rglob("*") if one.is_file()]
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in paths}


def test_what_is_packed_comes_back(file, tmp_path):
    folder = unpack(file, tmp_path / "there")
    assert folder == tmp_path / "there" / "skulls"
    assert content_of(folder) == FILES


def test_the_same_files_give_the_same_bytes_at_any_time(file, staged, tmp_path):
    for path in staged.rglob("*"):
        path.touch()
    write_packed(tmp_path / "again.zip", staged, "skulls", "1.2")
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()


def test_other_programs_read_it(file):
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("model.json"))
        assert archive.namelist()[0] == "model.json"
    assert manifest["files"] == {
        name: {"bytes": len(one), "sha256": hashlib.sha256(one).hexdigest()}
        for name, one in FILES.items()
    }
    assert (manifest["name"], manifest["version"]) == ("skulls", "1.2")


def rewritten(file, manifest=(), members=(), entry=None, files=None):
    """Write a file anew with other entries in its manifest, and other or further members."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(content["model.json"]) | dict(manifest)
    told["files"] = told["files"] | dict(files or {})
    content = {**content, "model.json": json.dumps(told).encode(), **dict(members)}
    with zipfile.ZipFile(file, "w") as archive:
        for name, one in content.items():
            if one is not None:
                archive.writestr(name, one)
        if entry is not None:
            archive.writestr(entry, b"more")


def member(name="CARD.md", content=b"more"):
    return {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}


def linking(file):
    entry = zipfile.ZipInfo("CARD.md")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    rewritten(file, files=member(), entry=entry)


def squeezed(file):
    entry = zipfile.ZipInfo("CARD.md")
    entry.compress_type = zipfile.ZIP_BZIP2
    rewritten(file, files=member(), entry=entry)


def encrypted(file):
    rewritten(file, files=member(), entry="CARD.md")
    content = bytearray(file.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # flags of the last entry in the directory
    file.write_bytes(content)


def twice(file):
    rewritten(file, files=member(), members={"CARD.md": b"more"})
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("CARD.md", b"more")


def told(**manifest):
    return partial(rewritten, manifest=manifest)


def elsewhere(name):
    return partial(rewritten, files=member(name), entry=name)


def without(name):
    return partial(rewritten, members={name: None})


def raw(content):
    return lambda file: file.write_bytes(content)


REFUSED = {
    "empty": (raw(b""), "is damaged, or no file of pin-lightning pack"),
    "text": (raw(b"run_name: a\n" * 99), "is damaged, or no file of pin-lightning pack"),
    "foreign": (without("model.json"), "it has no model.json"),
    "other kind": (told(kind="wheel"), "kind=wheel"),
    "no json": (partial(rewritten, members={"model.json": b"{"}), "model.json: JSONDecodeError"),
    "deep": (partial(rewritten, members={"model.json": b"[" * 10**5}), "RecursionError"),
    "a list": (partial(rewritten, members={"model.json": b"[]"}), "model.json: TypeError"),
    "large": (partial(rewritten, members={"model.json": b" " * 2**21}), "model.json has 2097152"),
    "newer": (told(format_version=2), "has format_version 2, this program reads up to 1; use a"),
    "newer run": (told(run_format_version=FORMAT_VERSION + 1), "has run_format_version"),
    "no version": (told(format_version="1"), "versions"),
    "bool": (told(format_version=True), "versions"),
    "name": (told(name="../skulls"), r"name=\.\./skulls"),
    "no name": (told(name=None), "name=None"),
    "more": (partial(rewritten, entry="CARD.md"), "a member that is not packed so, 'CARD.md'"),
    "fewer": (without("config.yaml"), "lacks config.yaml"),
    "twice": (twice, "a member that is not packed so, 'CARD.md'"),
    "above": (elsewhere("../run.json"), r"file \.\./run\.json"),
    "absolute": (elsewhere("/run.json"), "file /run.json"),
    "windows": (elsewhere("C:\\run.json"), "file C:"),
    "hidden": (elsewhere(".ssh/config.yaml"), r"file \.ssh"),
    "other": (elsewhere("hook.py"), r"file hook\.py"),
    "unlisted above": (partial(rewritten, entry="../x"), r"not packed so, '\.\./x'"),
    "link": (linking, "'CARD.md' is no plain file"),
    "encrypted": (encrypted, "'CARD.md' is no plain file"),
    "bzip2": (squeezed, "'CARD.md' is no plain file"),
    "changed": (
        partial(rewritten, members={"config.yaml": b"seed: 1\n"}),
        "is not what was packed",
    ),
    "longer": (
        partial(rewritten, members={"config.yaml": b"seed: 10\n"}),
        "config.yaml has 9 bytes",
    ),
    "no size": (partial(rewritten, files={"config.yaml": {"bytes": "8"}}), r"file config\.yaml"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_in_one_line_with_nothing_elsewhere(case, file, tmp_path):
    make, message = REFUSED[case]
    make(file)
    before = {*tmp_path.rglob("*")}
    with pytest.raises(ValueError, match=message) as raised:
        unpack(file, tmp_path / "a" / "b")
    assert str(raised.value).startswith(f"run={file}: ")
    assert "\n" not in str(raised.value)
    made = {*tmp_path.rglob("*")} - before
    assert all((tmp_path / "a") in (one, *one.parents) for one in made)


@pytest.mark.parametrize(("bound", "most"), [("MOST_BYTES", 999), ("MOST_FILES", 4)])
def test_sizes_are_bounded_before_anything_is_written(bound, most, file, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, bound, most)
    with pytest.raises(ValueError, match=f"more than {most}"):
        unpack(file, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_member_gives_no_more_than_it_says(file, tmp_path):
    """A directory that says less than there is, as of a bomb."""
    content = bytearray(file.read_bytes())
    name = content.rindex(b"config.yaml")
    content[name - 46 + 24] = 3  # its size in the directory
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml has 3 bytes"):
        unpack(file, tmp_path / "there")


def outcome(file, folder):
    """The files, or the error."""
    try:
        return content_of(unpack(file, folder))
    except ValueError as error:
        return str(error)


@pytest.mark.slow
def test_a_byte_that_changes_is_seen_or_changes_nothing(file, tmp_path):
    content, refused = file.read_bytes(), 0
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        found = outcome(file, tmp_path / str(place))
        assert found == FILES or found.startswith(f"run={file}: ")
        refused += found != FILES
    assert refused > len(content) / 3


def test_what_is_cut_off_is_refused(file, tmp_path):
    content = file.read_bytes()
    for length in range(0, len(content), 7):
        file.write_bytes(content[:length])
        with pytest.raises(ValueError, match="is damaged, or no file"):
            unpack(file, tmp_path / "there")

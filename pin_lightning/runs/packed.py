"""A packed run: one ``.zip`` file with all that predicts, written by ``pin-lightning pack``.

``model.json`` names the format and the other members, each with its size and SHA-256. Members are
the files of a run folder that are read to predict, under their own names, a model card and the
text of a licence. Files may come from anywhere: nothing is unpacked but members of these names.
"""

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from pin_lightning.runs.formats import FORMAT_VERSION

MANIFEST, CARD, LICENCE = "model.json", "CARD.md", "LICENSE"
KIND, PACK_VERSION = "packed run of pin-lightning", 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Bounds far above any use, so that a hostile file ends in one line.
MOST_FILES, MOST_BYTES, MOST_MANIFEST_BYTES = 1000, 2**32, 2**20
_CHECKPOINT = r"checkpoints/(best|last)\.ckpt"
_MEMBER = re.compile(
    r"CARD\.md|LICENSE|config\.yaml|folds\.json|calibration\.json"
    r"|(fold[0-9]{1,3}/)?(first_stage/){0,8}"
    rf"(run\.json|predictions\.csv|{_CHECKPOINT}|pose/pose\.json|pose/{_CHECKPOINT})"
)
_DATE = (1980, 1, 1, 0, 0, 0)  # the same file each time
_CHUNK = 2**20


@dataclass(frozen=True)
class Member:
    """A file in a packed run.

    Attributes:
        bytes: Its size.
        sha256: Its SHA-256, in hexadecimal digits.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What ``model.json`` says.

    Attributes:
        name: Name of the model.
        version: Version of the program that packed it.
        files: The other members by their names.
    """

    name: str
    version: str
    files: Mapping[str, Member]


def write_packed(path: Path, folder: Path, name: str, version: str) -> None:
    """Pack the files of a folder; the same files give the same bytes.

    Args:
        path: File to write.
        folder: Holds nothing but what is packed.
        name: Name of the model, as of `NAME`.
        version: Version of this program.
    """
    paths = sorted(one for one in folder.rglob("*") if one.is_file())
    contents = {one.relative_to(folder).as_posix(): one.read_bytes() for one in paths}
    assert NAME.fullmatch(name)
    assert all(_MEMBER.fullmatch(one) for one in contents)
    files = {key: _member(one) for key, one in contents.items()}
    about = {
        "kind": KIND,
        "format_version": PACK_VERSION,
        "run_format_version": FORMAT_VERSION,
        **asdict(Manifest(name, version, files)),
    }
    manifest = json.dumps(about, indent=2).encode() + b"\n"
    with ZipFile(path, "w") as archive:
        for key, content in {MANIFEST: manifest, **contents}.items():
            entry = ZipInfo(key, _DATE)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content, ZIP_DEFLATED, compresslevel=9)


def _member(content: bytes) -> Member:
    return Member(len(content), hashlib.sha256(content).hexdigest())


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a packed run into a sub-folder that bears its name, and return that.

    Raises:
        ValueError: The file is none, is damaged, or is of a later version.
        OSError: It cannot be opened, or the folder not be written to.
    """
    with path.open("rb") as file:
        archive = _opened(file, path)
        manifest = _manifest(archive, path)
        _check_members(archive, manifest, path)
        for name, member in manifest.files.items():
            target = folder / manifest.name / name
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with target.open("wb") as sink:
                for chunk in _content(archive, name, path):
                    digest.update(chunk)
                    sink.write(chunk)
            if digest.hexdigest() != member.sha256:
                raise _unreadable(path, f"{name} is not what was packed")
    return folder / manifest.name


def _opened(file: IO[bytes], path: Path) -> ZipFile:
    try:
        return ZipFile(file)
    except Exception as error:  # of many kinds, for damaged files
        raise _unreadable(path, error) from error


def _content(archive: ZipFile, name: str, path: Path) -> Iterator[bytes]:
    """Yield the content of a member: no more than the archive says, whose CRC is checked."""
    try:
        with archive.open(name) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except Exception as error:
        raise _unreadable(path, error) from error


def _manifest(archive: ZipFile, path: Path) -> Manifest:
    entries = {one.filename: one for one in archive.infolist()}
    if MANIFEST not in entries:
        raise _unreadable(path, f"it has no {MANIFEST}")
    if entries[MANIFEST].file_size > MOST_MANIFEST_BYTES:
        raise _unreadable(path, f"{MANIFEST} has {entries[MANIFEST].file_size} bytes")
    _check_entry(entries[MANIFEST], path)
    text = b"".join(_content(archive, MANIFEST, path))
    try:
        content = json.loads(text)
        if content["kind"] != KIND:
            raise ValueError(f"kind={str(content['kind'])[:80]}")
        versions = {
            "format_version": (content["format_version"], PACK_VERSION),
            "run_format_version": (content["run_format_version"], FORMAT_VERSION),
        }
        if not all(type(one) is int and one >= 1 for one, _ in versions.values()):
            raise ValueError(f"versions {str([one for one, _ in versions.values()])[:80]}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(path, f"{MANIFEST}: {type(error).__name__}: {error}") from error
    for what, (found, known) in versions.items():
        if found > known:
            raise ValueError(
                f"run={path}: has {what} {found}, this program reads up to {known}; use a newer "
                f"version of the program"
            )
    try:
        return _parsed(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, f"{MANIFEST}: {type(error).__name__}: {error}") from error


def _parsed(content: Mapping[str, Any]) -> Manifest:
    name, files = content["name"], content["files"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"name={str(name)[:80]}")
    for key, one in files.items():
        if not _MEMBER.fullmatch(key) or type(one["bytes"]) is not int or one["bytes"] < 0:
            raise ValueError(f"file {key[:80]}")
    members = {key: Member(one["bytes"], str(one["sha256"])) for key, one in files.items()}
    return Manifest(name, str(content["version"]), members)


def _check_members(archive: ZipFile, manifest: Manifest, path: Path) -> None:
    """Refuse an archive with other members than its manifest says, or with too much in them."""
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise _unreadable(path, f"{len(entries)} members, more than {MOST_FILES}")
    expected = {MANIFEST, *manifest.files}
    names = [one.filename for one in entries]
    for name in names:
        if name not in expected or names.count(name) > 1:
            raise _unreadable(path, f"a member that is not packed so, {name[:80]!r}")
    if absent := expected - set(names):
        raise _unreadable(path, f"lacks {min(absent)}")
    for entry in entries:
        _check_entry(entry, path)
        if entry.filename != MANIFEST and entry.file_size != manifest.files[entry.filename].bytes:
            raise _unreadable(path, f"{entry.filename} has {entry.file_size} bytes")
    if (total := sum(one.file_size for one in entries)) > MOST_BYTES:
        raise _unreadable(path, f"{total} bytes unpacked, more than {MOST_BYTES}")


def _check_entry(entry: ZipInfo, path: Path) -> None:
    """Refuse what is no plain file: a link, or one that is encrypted or compressed otherwise."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    plain = kind in (0, stat.S_IFREG) and not entry.flag_bits & 1
    if not plain or entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise _unreadable(path, f"{entry.filename[:80]!r} is no plain file")


def _unreadable(path: Path, reason: Exception | str) -> ValueError:
    said = f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else reason
    return ValueError(
        f"run={path}: is damaged, or no file of pin-lightning pack ({' '.join(said.split())}); "
        f"fetch it again"
    )

"""Files with volumes on this machine, at addresses such as ``s3://...``, and in tar archives.

Only those that are being read lie on this machine, each in a temporary folder of its own.
"""

import hashlib
import json
import logging
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pin_lightning.common.spelling import readable
from pin_lightning.inference.stamps import ABSENT, UNKNOWN, stamp_of
from pin_lightning.runs.volume_file import LocalFile, VolumeFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# What tells of a file elsewhere whether it has changed, by the names that file systems give it.
SIGNS = ("size", "ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "md5Hash")


log = logging.getLogger(__name__)


@runtime_checkable
class InputFile(VolumeFile, Protocol):
    """A file with a volume to predict."""

    @property
    def source(self) -> str:
        """Where it is, whatever the working directory."""

    def stamp(self) -> str:
        """What tells whether it has changed; ``absent`` where it cannot be found."""


class LocalInput(LocalFile):
    """A file, or a folder of a DICOM series, on this machine."""

    @property
    def source(self) -> str:
        """Its absolute path."""
        return readable(str(self.path.absolute()))

    def stamp(self) -> str:
        """As of `stamp_of`."""
        return stamp_of(self.path)


@dataclass(frozen=True)
class RemoteInput:
    """A file at an address that fsspec knows.

    Attributes:
        files: The file system.
        path: The path there.
        shown: The address.
        source: The address; the absolute path of a file on this machine.
    """

    files: "AbstractFileSystem"
    path: str
    shown: str
    source: str

    def stamp(self) -> str:
        """Size, time and digest, as far as the file system tells."""
        try:
            found = self.files.info(self.path)
        except FileNotFoundError:
            return ABSENT
        except Exception:  # of any library, such as no permission or a lost connection
            log.debug("%s", self.shown, exc_info=True)
            return UNKNOWN
        signs = {sign: str(found[sign]) for sign in SIGNS if found.get(sign) is not None}
        return hashlib.sha256(json.dumps(signs).encode()).hexdigest()[:32]

    @contextmanager
    def local(self) -> Iterator[Path]:
        """A copy on this machine."""
        with _temporary(self.path) as path:
            self.files.get_file(self.path, str(path))
            yield path


@dataclass(frozen=True)
class MemberInput:
    """A file in a tar archive that is not compressed, read without what lies before it.

    Attributes:
        archive: The archive.
        name: Name of the file there.
        begin: Where its bytes begin in the archive.
        size: Their number.
        archive_stamp: Stamp of the archive when the place was found.
    """

    archive: RemoteInput
    name: str
    begin: int
    size: int
    archive_stamp: str

    @property
    def shown(self) -> str:
        """Archive and name."""
        return f"{self.archive.shown}/{self.name}"

    @property
    def source(self) -> str:
        """Archive and name."""
        return readable(f"{self.archive.source}/{self.name}")

    def stamp(self) -> str:
        """That of the archive."""
        return self.archive_stamp

    @contextmanager
    def local(self) -> Iterator[Path]:
        """A copy outside the archive."""
        with _temporary(self.name) as path:
            of, bounds = self.archive, {"start": self.begin, "end": self.begin + self.size}
            path.write_bytes(of.files.cat_file(of.path, **bounds))
            yield path


def archive_of(file: LocalInput | RemoteInput) -> RemoteInput:
    """An archive, of this machine, too, as a file at an address."""
    if isinstance(file, RemoteInput):
        return file
    from fsspec.implementations.local import LocalFileSystem

    return RemoteInput(LocalFileSystem(), str(file.path), file.shown, file.source)


def members(archive: RemoteInput) -> list[MemberInput]:
    """Files in an archive, hidden ones left out.

    Raises:
        ValueError: It is no tar archive, or compressed.
    """
    try:
        stamp = archive.stamp()
        with (
            archive.files.open(archive.path, "rb") as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
        ):
            found = [(one.name, tar.getmember(one.linkname) if one.islnk() else one) for one in tar]
        return [
            MemberInput(archive, name, one.offset_data, one.size, stamp)
            for name, one in found
            if one.isreg() and not one.issparse()
        ]
    except (tarfile.TarError, KeyError, OSError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"input={archive.shown}: cannot be read as a tar archive ({said}); give one that is "
            f"not compressed"
        ) from error


@contextmanager
def _temporary(name: str) -> Iterator[Path]:
    """A path in a temporary folder that is removed after the block; its name ends like `name`."""
    with tempfile.TemporaryDirectory(prefix="pin-lightning-") as folder:
        yield Path(folder, PurePosixPath(name).name)

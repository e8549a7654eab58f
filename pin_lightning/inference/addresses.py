"""Files at addresses such as ``s3://BUCKET/scans``, in all file systems that fsspec knows.

It takes its credentials and settings from their usual places, and from variables such as
``FSSPEC_S3_ENDPOINT_URL``.
"""

import glob
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pin_lightning.common.errors import failure
from pin_lightning.common.hidden import is_hidden
from pin_lightning.common.spelling import readable
from pin_lightning.inference.files import RemoteInput
from pin_lightning.inference.patterns import is_volume

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

MARK = "://"


def is_address(given: str) -> bool:
    """Whether an input is an address.

    >>> is_address("s3://scans/a.nii.gz"), is_address("scans/a.nii.gz")
    (True, False)
    """
    return MARK in given


def remote_file(address: str) -> RemoteInput:
    """The file at an address; nothing is asked of the server.

    Raises:
        ValueError: There is no such kind of address, or what it takes is not installed.
    """
    files, path = _file_system(address)
    return RemoteInput(files, path, address, readable(address))


def remote_files(address: str) -> list[tuple[RemoteInput, str]]:
    """Files at an address, of a pattern or in a folder, each with its path below that folder.

    Raises:
        ValueError: The server cannot be asked, or what it takes is not installed.
    """
    files, path = _file_system(address)
    with _named(address):
        if glob.has_magic(path):
            parts = PurePosixPath(path).parts
            first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
            base, inside = PurePosixPath(*parts[:first]), files.glob(path, detail=True)
            found = [name for name, one in inside.items() if one["type"] == "file"]
            found = [one for one in found if not _is_hidden(one, base)]
        elif files.isdir(path):
            base = PurePosixPath(path)
            inside = files.ls(path, detail=True)
            found = [one["name"] for one in inside if one["type"] == "file"]
            found = [one for one in found if is_volume(Path(one))]
        else:
            base, found = PurePosixPath(path).parent, [path]
    start = address.split(MARK)[0] + MARK
    return [
        (
            RemoteInput(files, one, start + one, readable(start + one)),
            PurePosixPath(one).relative_to(base).as_posix(),
        )
        for one in map(str, found)
    ]


def _is_hidden(path: str, base: PurePosixPath) -> bool:
    return any(map(is_hidden, PurePosixPath(path).relative_to(base).parts))


def _file_system(address: str) -> "tuple[AbstractFileSystem, str]":
    from fsspec.core import url_to_fs

    logging.getLogger("aiobotocore").setLevel(logging.WARNING)  # says where credentials are from
    with _named(address):
        files, path = url_to_fs(address)
    return files, str(path)


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Let any error of a server, or of its library, be one line with the address."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"input={address}: {failure('cannot be reached', error)}") from error

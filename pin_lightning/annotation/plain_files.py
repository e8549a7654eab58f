"""Reading of files that somebody else may have put into a folder."""

import errno
import os
import stat
from pathlib import Path
from typing import TypeAlias

MOST_BYTES = 16 * 2**20  # of a file of landmarks
Signature: TypeAlias = tuple[int, int, int] | None


def read_plain(path: Path) -> bytes | None:
    """Content of a file; None where there is none.

    Raises:
        OSError: It cannot be read, is a link or no file, as a pipe, which would be waited for, or
            is larger than any file of landmarks.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        opened = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link; put the file itself there") from error
        raise
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a file")
        if found.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"over {MOST_BYTES} bytes")
        return file.read(MOST_BYTES)


def signature_of(path: Path) -> Signature:
    """What tells whether a file has changed; None where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def stamp_of_file(path: Path) -> str:
    """What tells a file from a copy with its times; empty where there is none.

    No program can set when the system says that an inode was changed.
    """
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"

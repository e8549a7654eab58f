"""One program at a time in an output folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pin_lightning.common.files import output_folder

LOCK = ".lock"  # hidden; removed at the end, and of no meaning once its process is gone
_MOST_BYTES = 300  # of what it says


@contextmanager
def owned_folder(setting: str, folder: str | Path) -> Iterator[Path]:
    """Make an output folder if absent, and keep other programs out of it within the block.

    The operating system holds the lock: a killed process leaves none behind. Folders that were made
    for the block are removed after it if they are empty.

    Args:
        setting: Setting that names the folder.
        folder: The folder.

    Raises:
        ValueError: It cannot be made or written to, or another program works in it.
    """
    path = Path(folder)
    made = [one for one in (path, *path.parents) if not os.path.exists(one)]
    output_folder(setting, path)
    lock = FileLock(path / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"{setting}={folder}: {_owner(path / LOCK)} works in it; wait for it, or give another "
            f"folder"
        ) from error
    try:
        with suppress(OSError):  # only for the message of others
            (path / LOCK).write_text(f"process {os.getpid()} on {socket.gethostname()}", "utf-8")
        yield path
    finally:
        with suppress(OSError):  # on Windows it cannot be removed while it is locked
            (path / LOCK).unlink()
        lock.release()
        with suppress(OSError):
            for one in made:
                one.rmdir()


def _owner(path: Path) -> str:
    try:
        said = path.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace")
    except OSError:
        said = ""
    return " ".join(said.split()) or "another program"

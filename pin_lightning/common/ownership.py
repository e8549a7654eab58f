"""One program at a time in an output folder, or several that each do a part of its work."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pin_lightning.common.files import output_folder

LOCK = ".lock"  # hidden; removed at the end, and of no meaning once its process is gone
PART_LOCK = f"{LOCK}-part-"
SECONDS_TO_BEGIN = 30.0  # in which programs that work on parts begin, one after the other
_MOST_BYTES = 300  # of what it says


@contextmanager
def owned_folder(setting: str, folder: str | Path, part: str | None = None) -> Iterator[Path]:
    """Make an output folder if absent, and keep other programs out of it within the block.

    The operating system holds the lock: a killed process leaves none behind. Folders that were made
    for the block are removed after it if they are empty.

    Args:
        setting: Setting that names the folder.
        folder: The folder.
        part: A name; then only programs without one, or with the same one, are kept out.

    Raises:
        ValueError: It cannot be made or written to, or another program works in it.
    """
    path = Path(folder)
    made = [one for one in (path, *path.parents) if not os.path.exists(one)]
    output_folder(setting, path)
    whole = path / LOCK
    try:
        with ExitStack() as held:
            if part is None:
                held.enter_context(_locked(setting, path, whole))
                refuse_parts(setting, path)
            else:
                with _locked(setting, path, whole, SECONDS_TO_BEGIN):
                    held.enter_context(_locked(setting, path, path / f"{PART_LOCK}{part}"))
            yield path
    finally:
        with suppress(OSError):
            for one in made:
                one.rmdir()


def refuse_parts(setting: str, folder: Path, own: str | None = None) -> None:
    """Refuse a folder in which programs work on parts other than the own one.

    Raises:
        ValueError: One does; the message says which process.
    """
    for lock in folder.glob(f"{PART_LOCK}*"):
        if lock.name != f"{PART_LOCK}{own}":
            with _locked(setting, folder, lock):
                pass


@contextmanager
def _locked(setting: str, folder: Path, path: Path, seconds: float = 0.0) -> Iterator[None]:
    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"{setting}={folder}: {_owner(path)} works in it; wait for it, or give another folder"
        ) from error
    try:
        with suppress(OSError):  # only for the message of others
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}", "utf-8")
        yield
    finally:
        with suppress(OSError):  # on Windows it cannot be removed while it is locked
            path.unlink()
        lock.release()


def _owner(path: Path) -> str:
    try:
        said = path.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace")
    except OSError:
        said = ""
    return " ".join(said.split()) or "another program"

"""Atomic writing of files, and checks of output folders."""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PART = ".part-"
_KEPT = 16  # letters of the end of a name, which may be as long as the system allows


@contextmanager
def whole_file(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path and rename it to `path` when the block ends without an error.

    Readers never see an incomplete file, and a failed attempt leaves nothing; a killed process
    leaves a hidden file for `remove_leftovers`. The temporary name ends like that of `path`, by
    which many writers choose the format, and is unique across processes and machines.

    Args:
        path: File to write; its folder is made if absent.
        durable: Sync to disk, so that the file survives a loss of power.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_PART}{secrets.token_hex(6)}.{path.name[-_KEPT:]}")
    try:
        with errors_named(path):
            yield temporary
            if durable:
                _sync(temporary)
            temporary.replace(path)
            if durable and os.name == "posix":  # elsewhere folders cannot be opened
                _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """Let errors of the system in the block, such as a full disk, name the file that is written."""
    try:
        yield
    except OSError as error:
        ours = error.filename is None or Path(error.filename).name.startswith(_PART)
        if error.errno is None or not ours:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove_leftovers(folder: Path, older_than_s: float = 0.0, pattern: str = f"{_PART}*") -> None:
    """Remove old files, by default the temporary files of killed processes.

    Args:
        folder: Folder to search, not recursively; it need not exist.
        older_than_s: Age in seconds at which a file counts as abandoned.
        pattern: Glob pattern of their names.
    """
    newest = time.time() - older_than_s
    for path in folder.glob(pattern):
        with suppress(OSError):  # removed by another process, or owned by another user
            if path.stat().st_mtime <= newest:
                path.unlink()


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Write UTF-8 text atomically, with its line ends unchanged; `durable` as of `whole_file`."""
    with whole_file(path, durable) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | Path, data: Any) -> None:
    """Write data as JSON, atomically.

    Raises:
        ValueError: The data hold NaN or infinity, which JSON does not have.
    """
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path}: JSON has no NaN or infinity; write None instead") from error
    write_text(Path(path), text + "\n")


def output_folder(setting: str, folder: str | Path) -> Path:
    """Make a folder if absent, and check that it can be written to.

    Raises:
        ValueError: It cannot be made or written to; the message names the setting.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".{secrets.token_hex(6)}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"{setting}={folder}: cannot be written to ({reason}); give another folder"
        raise ValueError(message) from error
    return path

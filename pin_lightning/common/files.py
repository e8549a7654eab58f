"""Files that appear whole or not at all, and output folders that are checked before work starts."""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PART = ".part-"


@contextmanager
def whole_file(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary path to write to, renamed to `path` when the block ends without an error.

    A reader never sees half a file, and nothing is left of a failed attempt; a killed process
    leaves a hidden file for `remove_leftovers`. The temporary name ends like `path`, since many
    writers choose a format by it, and no two writers have the same, on whatever machine they are.

    Args:
        path: The file to write; its folder is made if absent.
        durable: Wait until the disk has it, so that it is there after a loss of power, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_PART}{secrets.token_hex(6)}.{path.name}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(path)
        if durable and os.name == "posix":  # elsewhere folders cannot be opened
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove_leftovers(folder: Path, older_than_s: float = 0.0, pattern: str = f"{_PART}*") -> None:
    """Remove old files, by default what killed processes left of files that they were writing.

    Args:
        folder: Looked in, not below; it need not exist.
        older_than_s: Age from which nobody can be writing to such a file, or need it, any more.
        pattern: Of the names of such files.
    """
    newest = time.time() - older_than_s
    for path in folder.glob(pattern):
        with suppress(OSError):  # another process removes it, too, or it belongs to somebody else
            if path.stat().st_mtime <= newest:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with its line ends as they are; the file appears whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | Path, data: Any) -> None:
    """Write data as JSON; the file appears only when complete.

    Raises:
        ValueError: The data hold NaN or infinity, which JSON does not know.
    """
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path}: JSON knows no NaN or infinity; write None instead") from error
    write_text(Path(path), text + "\n")


def output_folder(setting: str, folder: str | Path) -> Path:
    """A folder that can be written to, made if absent.

    Args:
        setting: The setting that gave the folder, for the message.
        folder: The folder.

    Raises:
        ValueError: It cannot be made or written to.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".{secrets.token_hex(6)}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(
            f"{setting}={folder}: cannot be written to ({reason}); give another folder"
        ) from error
    return path

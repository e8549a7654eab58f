"""Files that appear whole or not at all, and output folders that are checked before work starts."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to, renamed to `path` when the block ends without an error.

    A reader never sees half a file, and nothing is left of a failed attempt. The temporary name
    ends like `path`, since many writers choose a format by it.

    Args:
        path: The file to write; its folder is made if absent.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
        probe = path / f".{os.getpid()}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(
            f"{setting}={folder}: cannot be written to ({reason}); give another folder"
        ) from error
    return path

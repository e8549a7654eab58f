"""Errors of damaged image files as one line."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pin_lightning.data.images.paths import file_fault

READ_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    RuntimeError,
    OverflowError,
    MemoryError,
    KeyError,
    zlib.error,
)


@contextmanager
def readable(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turn errors of reading, and `more` within this block, into a one-line ValueError."""
    try:
        yield
    except READ_ERRORS + more as error:
        raise unreadable(path, file_fault(path) or _reason(error)) from error


def check_is_file(path: Path) -> None:
    """Validate that a path is a file with content: a pipe would be waited for.

    Raises:
        ValueError: It is absent, empty or not a file.
    """
    if fault := file_fault(path):
        raise unreadable(path, fault)


def unreadable(path: Path, reason: str) -> ValueError:
    """The error of a file that is damaged or no image."""
    return ValueError(f"{path}: cannot be read as an image ({reason}); check the file")


def _reason(error: Exception) -> str:
    if isinstance(error, zlib.error):
        return "damaged compression"
    words = str(error) if isinstance(error, EOFError) else ""
    return words or type(error).__name__

"""Standard output and error that a reader who leaves, or a name of odd bytes, does not break."""

import io
import os
import sys
from typing import TextIO


class _Unbroken(io.RawIOBase):
    """A file descriptor; what is written after its reader has gone is lost."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]
        try:
            return os.write(self._number, content)
        except BrokenPipeError:
            return len(content)


def keep_writing() -> None:
    """Let this process go on when a reader of its output has gone, as after ``| head -1``.

    Text that the terminal's encoding lacks is written as escapes instead of being refused. Streams
    that somebody has replaced, such as a test, stay as they are.
    """
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        sys.stdout = _unbroken(sys.stdout)
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _unbroken(sys.stderr)


def _unbroken(stream: TextIO) -> TextIO:
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # no file
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Unbroken(number)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )

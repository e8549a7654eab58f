"""Files with volumes, on this machine or fetched from elsewhere while they are read."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


class NotNow(ValueError):
    """An error that is not about a volume: another try may succeed."""


@runtime_checkable
class VolumeFile(Protocol):
    """A file with a volume."""

    @property
    def shown(self) -> str:
        """Its name in messages and tables."""

    def local(self) -> AbstractContextManager[Path]:
        """Context with its path on this machine, at which it may be gone afterwards."""


@dataclass(frozen=True)
class LocalFile:
    """A file, or a folder of a DICOM series, on this machine.

    Attributes:
        path: Its path.
    """

    path: Path

    @property
    def shown(self) -> str:
        """Its path."""
        return str(self.path)

    @contextmanager
    def local(self) -> Iterator[Path]:
        """The path itself."""
        yield self.path

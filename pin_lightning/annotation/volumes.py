"""Scans: the volumes of a server, their ids and headers."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pin_lightning.data.images.reading import Header, read_header
from pin_lightning.inference.files import InputFile, LocalInput
from pin_lightning.inference.inputs import Input, find_inputs, named_as_before

log = logging.getLogger(__name__)


def volume_id(name: str) -> str:
    """Id of a volume, from its name.

    >>> volume_id("ANNA")
    '5c5a268702708aba'
    """
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume.

    Attributes:
        id: From its name, as of `volume_id`.
        name: As its outputs are named.
        input: Its file.
        root: Folder in which its file has to lie, whatever links say; None where any will do.
        fault: Why it is not opened; else empty.
    """

    id: str
    name: str
    input: Input
    root: Path | None
    fault: str = ""

    @property
    def file(self) -> InputFile:
        """Its file."""
        return self.input.file

    def without_path(self, text: str) -> str:
        """A text in which the path of its file is the file's name: for others than its owner."""
        shown = self.file.shown
        paths = {shown, self.file.source, str(Path(shown).absolute())}
        for one in sorted(paths, key=len, reverse=True):
            text = text.replace(one, Path(shown).name)
        return text

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Context with the path of its file on this machine.

        Raises:
            ValueError: It is a link to elsewhere, or the block says so; without its folder.
        """
        try:
            self.check_place()
            with self.file.local() as path:
                yield path
        except ValueError as error:
            raise ValueError(self.without_path(str(error))) from error

    def check_place(self) -> None:
        """Refuse a file, or a slice of a series, that lies elsewhere than where it was found.

        Raises:
            ValueError: It does.
        """
        if self.root is None or not isinstance(self.file, LocalInput):
            return
        path, root = self.file.path, self.root.resolve()
        inside = path.iterdir() if path.is_dir() else ()
        for one in (path, *inside):
            if not one.resolve().is_relative_to(root):
                raise ValueError(
                    f"{self.name}: {one.name} is a link to a file outside the input folder; "
                    f"links=true follows such links"
                )


class Scans(Mapping[str, Scan]):
    """The volumes of a server by their ids, in the order of their names.

    Args:
        inputs: Volumes by their names, as of `find_inputs`.
        links: Follow links to files outside of where volumes were looked for.

    Attributes:
        told: Is called with the id of a volume when it is found that it cannot be read, or can.
    """

    told: Callable[[str], None] = staticmethod(lambda key: None)

    def __init__(self, inputs: Mapping[str, Input], links: bool = False) -> None:
        scans = [
            _with_fault(Scan(volume_id(name), name, one, None if links else _root(one)))
            for name, one in inputs.items()
        ]
        self._scans = {one.id: one for one in scans}
        self._headers = dict[str, tuple[str, Header]]()
        self._unread = dict[str, tuple[str, str]]()  # stamp of the file, and why, by id
        self._lock = threading.Lock()

    @classmethod
    def find(
        cls, pattern: str, links: bool = False, before: Mapping[str, str] | None = None
    ) -> "Scans":
        """Find volumes, as of `find_inputs`.

        Args:
            pattern: As of `find_inputs`.
            links: As above.
            before: Names that they keep, by the keys of their inputs.

        Raises:
            ValueError: There are none, or two would have the same name.
        """
        inputs = named_as_before(find_inputs(pattern), before or {})
        return cls(inputs, links or pattern.startswith("@"))

    def __getitem__(self, key: str) -> Scan:
        """The volume of an id."""
        return self._scans[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scans)

    def __len__(self) -> int:
        return len(self._scans)

    def header(self, scan: Scan) -> Header:
        """Shape and affine of a volume; read once, unless its file changes.

        Raises:
            ValueError: It cannot be read.
        """
        stamp = scan.file.stamp()
        known = self._headers.get(scan.id)
        if known is None or known[0] != stamp:
            try:
                with scan.local() as path:
                    known = stamp, read_header(path)
            except ValueError as error:
                self.note(scan, str(error))
                raise
            with self._lock:
                self._headers[scan.id] = known
        return known[1]

    def fault(self, scan: Scan) -> str:
        """Why a volume cannot be opened, as far as is known; else empty.

        A file on this machine that has changed since is not known to be unreadable.
        """
        stamp, why = self._unread.get(scan.id, ("", ""))
        if why and isinstance(scan.file, LocalInput) and stamp != scan.file.stamp():
            return ""
        return scan.fault or why

    def note(self, scan: Scan, why: str) -> None:
        """Note why a volume cannot be read, or with an empty text that it can."""
        before = self.fault(scan)
        with self._lock:
            self._unread.pop(scan.id, None)
            if why:
                self._unread[scan.id] = scan.file.stamp(), why
        if before != self.fault(scan):
            self.told(scan.id)


def _with_fault(scan: Scan) -> Scan:
    try:
        scan.check_place()
    except (ValueError, OSError) as error:
        return replace(scan, fault=str(error))
    return scan


def _root(one: Input) -> Path | None:
    """Folder in which a file was looked for: its path without what was found there."""
    if not isinstance(one.file, LocalInput):
        return None
    parts = one.file.path.absolute().parts
    return Path(*parts[: -len(Path(one.key).parts)])

"""Uploaded: images that clients send, in a bounded folder, for a while."""

import re
import secrets
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pin_lightning.data.images.parts import parts
from pin_lightning.data.images.reading import DICOM_SUFFIXES, read_header

MOST_BYTES = 2 * 2**30  # of all images
MOST_IMAGES = 20
MOST_FILES = 1000  # of an image: as many as a form may hold
SECONDS = 3600.0  # without use, after which an image is removed
SECONDS_BETWEEN_LOOKS = 60.0
# Formats of one file: a header could name other files of this machine.
SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mgz", ".mgh", *DICOM_SUFFIXES)
CHUNK = 2**20


class TooMuch(ValueError):
    """More bytes or files than there is room for."""


class Sent(NamedTuple):
    """A file that a client sends.

    Attributes:
        name: Its name there, of which only the ending counts.
        file: Its content.
    """

    name: str
    file: BinaryIO


@dataclass
class UploadedImage:
    """An image that a client has sent.

    Attributes:
        id: Not to be guessed.
        name: What the client calls it, for messages.
        path: File, or folder of a DICOM series.
        size: Bytes.
        seconds: Without use, after which it is removed.
        created: When it came.
        used: When it was used last.
        users: Requests that use it now.
    """

    id: str
    name: str
    path: Path
    size: int
    seconds: float
    created: float
    used: float
    users: int = field(default=0)


class Uploaded:
    """Images that clients have sent; safe for threads.

    Args:
        folder: Folder for them, which is emptied.
        most_bytes: Of all images together; the least recently used ones go first.
        clock: Time in seconds.
    """

    def __init__(
        self,
        folder: Path,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.most_bytes, self._clock = folder, most_bytes, clock
        self._images = dict[str, UploadedImage]()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        shutil.rmtree(folder, ignore_errors=True)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # also at the end

    def add(self, sent: Sequence[Sent], seconds: float = SECONDS) -> UploadedImage:
        """Take an image: one file, or the files of a DICOM series.

        Raises:
            TooMuch: It is too large.
            ValueError: It is no image that can be read.
        """
        if not 1 <= len(sent) <= MOST_FILES:
            raise TooMuch(f"files: {len(sent)} of them; send 1 to {MOST_FILES}")
        place = self.folder / (key := secrets.token_hex(16))
        place.mkdir(parents=True)
        try:
            path, size = self._received(place, sent)
            _check_image(path)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        now = self._clock()
        kept = min(max(seconds, 1.0), SECONDS)
        image = UploadedImage(key, _shown(sent[0].name), path, size, kept, now, now)
        with self._lock:
            self._images[key] = image
            self._make_room()
            if key not in self._images:
                raise TooMuch("files: others are in use; there is no room for another now")
            self._look_later()
        return image

    def get(self, key: str) -> UploadedImage | None:
        """An image, whose time begins anew; None if there is none any more."""
        with self._lock:
            self._make_room()
            image = self._images.get(key)
            if image is not None:
                image.used = self._clock()
            return image

    @contextmanager
    def using(self, image: UploadedImage) -> Iterator[Path]:
        """Context in which an image stays; gives its path."""
        with self._lock:
            image.users += 1
        try:
            yield image.path
        finally:
            with self._lock:
                image.users -= 1
                image.used = self._clock()

    def remove(self, key: str) -> UploadedImage | None:
        """Remove an image, and give what it was; None if there is none."""
        with self._lock:
            image = self._images.pop(key, None)
            if image is not None:
                shutil.rmtree(self.folder / key, ignore_errors=True)
            return image

    def _received(self, place: Path, sent: Sequence[Sent]) -> tuple[Path, int]:
        """Write files under names of our own; their path and size."""
        suffixes = [_suffix(one.name) for one in sent]
        if len(sent) > 1 and not {*suffixes} <= {"", *DICOM_SUFFIXES}:
            raise ValueError("files: of several only the slices of a DICOM series are taken")
        size = 0
        for number, (one, suffix) in enumerate(zip(sent, suffixes, strict=True)):
            with (place / f"{number:05}{suffix}").open("xb") as target:
                while chunk := one.file.read(CHUNK):
                    size += len(chunk)
                    if size > self.most_bytes:
                        raise TooMuch(f"files: more than {self.most_bytes} bytes")
                    target.write(chunk)
        return (place if len(sent) > 1 else place / f"00000{suffixes[0]}"), size

    def _look_later(self) -> None:
        if self._timer is None and self._images:
            self._timer = threading.Timer(SECONDS_BETWEEN_LOOKS, self._look)
            self._timer.daemon = True
            self._timer.start()

    def _look(self) -> None:
        """Remove what has expired, though nobody asks for anything."""
        with self._lock:
            self._timer = None
            self._make_room()
            self._look_later()

    def _make_room(self) -> None:
        """Remove what has expired, and what was used least recently while there is too much."""
        now = self._clock()
        idle = sorted((one for one in self._images.values() if not one.users), key=_last_use)
        for one in idle:
            much = sum(each.size for each in self._images.values()) > self.most_bytes
            if now - one.used > one.seconds or len(self._images) > MOST_IMAGES or much:
                del self._images[one.id]
                shutil.rmtree(self.folder / one.id, ignore_errors=True)


def _last_use(image: UploadedImage) -> float:
    return image.used


def _suffix(name: str) -> str:
    lowered = name.lower()
    found = next((one for one in SUFFIXES if lowered.endswith(one)), "")
    if not found and "." in lowered.strip(".0123456789"):  # DICOM files are called 1.2.840. ... too
        raise ValueError(f"files: are no images; send one that ends in {', '.join(SUFFIXES)}")
    return found


def _shown(name: str) -> str:
    """A name for messages: without folders, and with plain letters."""
    return re.sub(r"[^\w.\- ]", "_", re.split(r"[/\\]", name)[-1])[:100] or "image"


def _check_image(path: Path) -> None:
    """Refuse what cannot be read, or names other files.

    Raises:
        ValueError: It is so; the message does not say where the file lies.
    """
    if path.is_file() and parts(path) != [path]:
        raise ValueError("files: a header with its voxels in another file; save it as one file")
    try:
        read_header(path)
    except ValueError as error:
        said = str(error).replace(str(path), "files").replace(str(path.parent), "files")
        raise ValueError(said) from error

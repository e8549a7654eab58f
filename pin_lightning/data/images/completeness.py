"""Parts of an image: the files that it is made of, and whether they hold all of its voxels."""

import os
import re
import zlib
from pathlib import Path

DETACHED_SUFFIXES = (".mhd", ".nhdr", ".hdr")
# More than any header that lists one file per slice.
HEADER_BYTES = 1 << 20
# Zeros inflate a thousandfold: this stays below 64 MiB at a time.
CHUNK_BYTES = 1 << 16

HEADER_END = re.compile(rb"\r?\n\r?\n|ElementDataFile\s*=\s*LOCAL[ \t\r]*\n")
COMPRESSED = re.compile(rb"^encoding:\s*gz|^CompressedData\s*=\s*True", re.I | re.M)
# Voxels as text, other compressions, parts to be skipped: left to the library.
OTHER_ENCODING = re.compile(
    rb"^encoding:\s*(?:txt|text|ascii|hex|bz)|^BinaryData\s*=\s*False"
    rb"|^(?:line|byte) ?skip:|^HeaderSize\s*=|^ElementDataFile\s*=.*%|^data ?file:.*%",
    re.I | re.M,
)


def parts(path: Path) -> list[Path]:
    """Files that an image is made of, sorted.

    Args:
        path: An image file, a header with its voxels in other files, or the folder of a DICOM
            series.

    Returns:
        The file itself and those that its header names; all files of a folder.
    """
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    if not path.name.lower().endswith(DETACHED_SUFFIXES):
        return [path]
    if path.suffix.lower() == ".hdr":
        same_stem = (file for file in path.parent.iterdir() if file.stem == path.stem)
        return sorted({path, *(file for file in same_stem if file.suffix.lower() == ".img")})
    text = _header(path)[0]
    named = _named_files(path, text)
    is_pattern = not named and b"%" in text  # such as slice%03d.raw
    return parts(path.parent) if is_pattern else sorted({path, *named})


def check_voxels_whole(path: Path, num_bytes: int) -> None:
    """Refuse an image whose voxels are cut short or whose compressed voxels are damaged.

    ITK does not compare checksums of compressed voxels, and prints what is wrong with a MetaImage
    before it says so.

    Args:
        path: NRRD or MetaImage file; another format is not looked at.
        num_bytes: What the voxels take, not compressed.

    Raises:
        EOFError: Voxels are missing.
        OSError: A file of voxels is absent.
        zlib.error: The compressed voxels are damaged.
    """
    if path.suffix.lower() not in (".nrrd", ".nhdr", ".mha", ".mhd"):
        return
    text, end = _header(path)
    if OTHER_ENCODING.search(text):
        return
    named = _named_files(path, text)
    if not named and end is None:
        raise FileNotFoundError("no file of voxels")
    sources = [(file, 0) for file in named] or [(path, end or 0)]
    is_compressed = COMPRESSED.search(text) is not None
    found = sum(_length(file, start, is_compressed) for file, start in sources)
    if found < num_bytes:
        raise EOFError(f"{found} of {num_bytes} bytes")


def _header(path: Path) -> tuple[bytes, int | None]:
    """Text of a header, and where the voxels start if they are in the same file."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    end = HEADER_END.search(head)
    return (head[: end.end()], end.end()) if end else (head, None)


def _named_files(path: Path, text: bytes) -> list[Path]:
    """Files that exist and are the value of a line, or a whole line, of a header."""
    values = [re.split("[:=]", line, maxsplit=1)[-1].strip() for line in _lines(text)]
    files = (path.parent / value for value in values if value)
    return [file for file in files if os.path.isfile(file) and file != path]


def _lines(text: bytes) -> list[str]:
    return [line for line in text.decode("utf-8", "replace").splitlines() if line[:1] != "#"]


def _length(path: Path, start: int, is_compressed: bool) -> int:
    """Bytes of a file from `start` on, once inflated; inflating compares the checksum."""
    if not is_compressed:
        return path.stat().st_size - start
    decoder, length = zlib.decompressobj(zlib.MAX_WBITS | 32), 0
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            length += len(decoder.decompress(chunk))
            if decoder.eof:
                return length
    raise EOFError("compressed voxels are cut short")

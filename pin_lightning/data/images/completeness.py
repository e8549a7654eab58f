"""Completeness of images: the files they consist of, and a check for missing voxels."""

import os
import re
import zlib
from pathlib import Path

DETACHED_SUFFIXES = (".mhd", ".nhdr", ".hdr")
HEADER_BYTES = 1 << 20  # more than any header that lists one file per slice
CHUNK_BYTES = 1 << 16  # zeros inflate a thousandfold: at most 64 MiB at a time

HEADER_END = re.compile(rb"\r?\n\r?\n|ElementDataFile\s*=\s*LOCAL[ \t\r]*\n")
COMPRESSED = re.compile(rb"^encoding:\s*gz|^CompressedData\s*=\s*True", re.I | re.M)
# Voxels as text, other compressions, skipped parts: not checked here.
OTHER_ENCODING = re.compile(
    rb"^encoding:\s*(?:txt|text|ascii|hex|bz)|^BinaryData\s*=\s*False"
    rb"|^(?:line|byte) ?skip:|^HeaderSize\s*=|^ElementDataFile\s*=.*%|^data ?file:.*%",
    re.I | re.M,
)


def parts(path: Path) -> list[Path]:
    """Files of an image, sorted: the file itself and those that its header names.

    Args:
        path: Image file, header of detached voxels, or folder of a DICOM series (all its files).
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
    """Check an NRRD or MetaImage file for truncated and for damaged compressed voxels.

    ITK does not verify checksums of compressed voxels, and prints errors of a MetaImage.

    Args:
        path: Image file; other formats are not checked.
        num_bytes: Uncompressed size of the voxels.

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
    """Text of a header, and the offset of the voxels if they are in the same file."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    end = HEADER_END.search(head)
    return (head[: end.end()], end.end()) if end else (head, None)


def _named_files(path: Path, text: bytes) -> list[Path]:
    """Existing files that are the value of a header line, or the whole line."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if line[:1] != "#"]
    values = [re.split("[:=]", line, maxsplit=1)[-1].strip() for line in lines]
    files = (path.parent / value for value in values if value)
    return [file for file in files if os.path.isfile(file) and file != path]


def _length(path: Path, start: int, is_compressed: bool) -> int:
    """Inflated size of a file from `start` on; inflating verifies the checksum."""
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

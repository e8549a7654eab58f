"""DICOM files: what is one, and the slices that one holds."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from pin_lightning.data.images.frame_headers import FrameHeader, frame_headers
from pin_lightning.data.images.paths import file_fault
from pin_lightning.data.images.readable import check_is_file, unreadable
from pin_lightning.data.images.slices import Slice

HEAD_BYTES = 4096
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")  # of a file without preamble
UID_ROOT = b"1.2.840.10008."  # of the UIDs that the standard defines
DEFLATED = b"1.2.840.10008.1.2.1.99"
UNIT = 0.01  # largest error of the length and the angle of direction cosines


@dataclass(frozen=True, eq=False)
class DicomFile:
    """Header of a DICOM file.

    Attributes:
        path: Its path.
        series: UID of its series.
        description: Description of its series.
        frame_of_reference: UID of what its positions refer to; empty if it does not say.
        photometric: Whether low values are dark (``MONOCHROME2``); empty if it does not say.
        frames: Headers of its frames; none if the file is not an image.
        size: Columns and rows.
        channels: Values per voxel.
        voxel_bytes: Bytes of a value.
        is_compressed: Whether its voxels are compressed.
        is_whole: False if voxels that are not compressed are cut short.
    """

    path: Path
    series: str
    description: str
    frame_of_reference: str
    photometric: str
    frames: tuple[FrameHeader, ...]
    size: tuple[int, int]
    channels: int
    voxel_bytes: int
    is_compressed: bool
    is_whole: bool


def is_dicom(path: Path) -> bool:
    """True for a DICOM file, by its content: with or without the preamble of 128 bytes."""
    return path.is_file() and _is_start(_head(path))


def read_dicom(path: Path) -> DicomFile:
    """Read the header of a DICOM file.

    Raises:
        ValueError: It is not DICOM, damaged, or of a kind that is not read.
    """
    import pydicom

    check_is_file(path)
    with readable_dicom(path):
        head = _head(path)
    if not _is_start(head):
        raise unreadable(path, "not DICOM")
    if DEFLATED in head:  # inflated as a whole, to any size
        raise ValueError(f"{path}: a deflated DICOM file; save it with another transfer syntax")
    with readable_dicom(path), path.open("rb") as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        head = file.read(8)  # of the voxels: tag and, unless it is implicit, type
        length_bytes = 4 if head[4:5] in (b"O", b"U") else 0  # lengths are even
        return _described(path, dataset, path.stat().st_size - file.tell() - length_bytes)


def slices_of(file: DicomFile) -> list[Slice]:
    """Slices of a DICOM file, validated to have a place in space.

    Raises:
        ValueError: Geometry is missing or wrong, or the voxels are cut short.
    """
    if not file.is_whole:
        raise ValueError(
            f"{file.path}: cannot be read as an image (cut short); export the series again"
        )
    return [_slice(file, number) for number in range(len(file.frames))]


def native_frames(file: DicomFile) -> Num[np.ndarray, "Z Y X"]:
    """Read the stored values of the frames of a file that is not compressed.

    Raises:
        ValueError: It is damaged.
    """
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    with readable_dicom(file.path):
        dataset = pydicom.dcmread(file.path, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:  # a file without preamble
            is_implicit = dataset.original_encoding[0]
            syntax = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = syntax
        frames: np.ndarray = pydicom.pixels.pixel_array(dataset, raw=True)
        if len(file.frames) == 1:
            frames = frames[None]
        if frames.shape != (len(file.frames), *file.size[::-1]):
            raise ValueError(f"frames of shape {frames.shape}")
        return _without_unused_bits(frames, dataset)


def _without_unused_bits(frames: Num[np.ndarray, "Z Y X"], dataset: Any) -> np.ndarray:
    """Values of the bits that are used; others may hold an overlay or lack the sign."""
    allocated = 8 * frames.dtype.itemsize
    stored = int(dataset.get("BitsStored") or allocated)
    above = allocated - 1 - int(dataset.get("HighBit", stored - 1))
    if frames.dtype.kind not in "iu" or stored == allocated:
        return frames
    if not (0 < stored <= allocated - above and above >= 0):
        raise ValueError(f"{stored} of {allocated} bits, up to bit {allocated - 1 - above}")
    return (frames << above) >> (allocated - stored)


@contextmanager
def readable_dicom(path: Path) -> Iterator[None]:
    """Turn errors of pydicom within the block into a one-line ValueError; hide its warnings."""
    from pydicom.config import disable_value_validation

    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # values are parsed when asked for, and damaged ones fail in any way
        said = " ".join(str(error).split()) if isinstance(error, ValueError) else ""
        raise unreadable(path, file_fault(path) or said or type(error).__name__) from error


def _is_start(head: bytes) -> bool:
    return head[128:132] == b"DICM" or (head[:2] in FIRST_GROUPS and UID_ROOT in head)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _described(path: Path, dataset: Any, bytes_left: int) -> DicomFile:
    columns, rows = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
    # Of a palette, voxels are numbers of colours.
    is_palette = dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    channels, bits = (
        int(dataset.get("SamplesPerPixel") or 1),
        int(dataset.get("BitsAllocated") or 8),
    )
    frames = frame_headers(dataset) if columns and rows else ()
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    is_compressed = bool(syntax is not None and syntax.is_compressed)
    needed = columns * rows * channels * len(frames) * bits // 8
    return DicomFile(
        path=path,
        series=str(dataset.get("SeriesInstanceUID", "")),
        description=str(dataset.get("SeriesDescription", "")),
        frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
        photometric=str(dataset.get("PhotometricInterpretation") or ""),
        frames=frames,
        size=(columns, rows),
        channels=3 if is_palette else channels,
        voxel_bytes=max(1, bits // 8),
        is_compressed=is_compressed,
        is_whole=is_compressed or channels > 1 or bytes_left >= needed,
    )


def _slice(file: DicomFile, number: int) -> Slice:
    frame = file.frames[number]
    name = f"frame {number + 1}" if len(file.frames) > 1 else file.path.name
    said = f"{file.path}: {name if len(file.frames) > 1 else 'a slice'}"
    lacking = frame.lacking()
    if lacking:
        raise ValueError(
            f"{said} without {', '.join(lacking)}; give a volume whose slices have places in "
            f"space (frames may be points in time)"
        )
    cosines = np.reshape(frame.orientation, (2, 3))
    numbers = [*frame.spacing, *frame.position, *frame.rescale]
    is_right = np.isfinite(numbers).all() and min(frame.spacing) > 0 and frame.rescale[0] != 0
    if not (is_right and np.allclose(cosines @ cosines.T, np.eye(2), rtol=0, atol=UNIT)):
        raise ValueError(
            f"{said} has PixelSpacing {list(frame.spacing)}, ImageOrientationPatient "
            f"{list(frame.orientation)}, ImagePositionPatient {list(frame.position)}, rescale "
            f"{list(frame.rescale)}, which place nothing; export it again"
        )
    return Slice(
        name=name,
        number=number,
        size=file.size,
        channels=file.channels,
        steps_lps=frame.steps_lps(),
        position_lps=np.array(frame.position, dtype=np.float64),
        rescale=frame.rescale,
    )

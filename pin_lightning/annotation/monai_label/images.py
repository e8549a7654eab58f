"""Files of images as clients get them: as they are, or as NIfTI where they are more than a file."""

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from pin_lightning.annotation.volumes import Scan
from pin_lightning.common.geometry import corner_distance_mm
from pin_lightning.data.images.parts import parts
from pin_lightning.data.images.reading import read_header, read_voxels
from pin_lightning.inference.files import LocalInput

# Formats of one file, which 3D Slicer reads without extensions.
AS_THEY_ARE = (".nii.gz", ".nii", ".nrrd", ".mha")
NIFTI = (".nii.gz", ".nii")
SAME_MM = 1e-2  # between corners of images
CHUNK = 2**20
_CONVERTING = threading.Semaphore(2)  # images in memory at once: each may be large


@dataclass(frozen=True)
class SentImage:
    """A file to send.

    Attributes:
        path: It.
        name: Its name for the client, with the suffix of its format.
        stack: Holds it while it is sent.
    """

    path: Path
    name: str
    stack: ExitStack

    def chunks(self) -> Iterator[bytes]:
        """Its bytes; it is let go at their end."""
        with self.stack, self.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


def sent_name(scan: Scan) -> str:
    """Name of the file of an image for a client.

    That of one that is converted says whether it has changed, as clients keep files by their names.

    Raises:
        ValueError: It is a link to elsewhere.
    """
    scan.check_place()
    suffix = _own_suffix(scan)
    return f"{scan.name}{suffix}" if suffix else f"{scan.name}_{scan.file.stamp()[:8]}.nii"


def open_image(scan: Scan) -> SentImage:
    """Open the file of an image, which is converted where need be.

    Raises:
        ValueError: It cannot be read, or is a link to elsewhere.
    """
    with ExitStack() as stack:
        path = stack.enter_context(scan.local())
        if not _own_suffix(scan):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pin-lightning-"))
            with _CONVERTING:
                path = _as_nifti(path, Path(folder) / "image.nii")
        return SentImage(path, sent_name(scan), stack.pop_all())


def checksum(scan: Scan) -> str | None:
    """SHA-256 of the file of an image as it is, in the form of 3D Slicer; None of others.

    By it Slicer tells whether a file of the same name that it kept is this one.
    """
    if not _own_suffix(scan) or not isinstance(scan.file, LocalInput):
        return None
    try:
        scan.check_place()
        with scan.file.path.open("rb") as file:
            return f"SHA256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except (OSError, ValueError):
        return None


def _own_suffix(scan: Scan) -> str:
    """Suffix of a file that is sent as it is; empty for another."""
    suffix = next((one for one in AS_THEY_ARE if scan.file.shown.lower().endswith(one)), "")
    if not suffix or not isinstance(scan.file, LocalInput):
        return suffix
    path = scan.file.path
    is_whole = parts(path) == [path]  # else voxels are elsewhere, or it is a folder
    return suffix if is_whole and (suffix not in NIFTI or _is_placed_alike(path)) else ""


def _is_placed_alike(path: Path) -> bool:
    """Whether 3D Slicer puts a NIfTI file where this program does.

    Of a file with both it takes the qform instead of the sform, and of one with an sform alone the
    voxel sizes of the header.
    """
    try:
        shape, affine = read_header(path)
        header: Any = nib.load(path).header
        qform, sform = header.get_qform(coded=True)[0], header.get_sform(coded=True)[0]
    except (OSError, ValueError, nib.filebasedimages.ImageFileError):
        return True  # is said where it is read
    if qform is not None:
        return corner_distance_mm(qform, affine, shape) < SAME_MM
    sizes = np.abs(voxel_sizes(sform) - header.get_zooms()[:3])
    return bool((sizes * shape).max() < SAME_MM)


def _as_nifti(path: Path, target: Path) -> Path:
    """Write an image as NIfTI, at its place in the world."""
    _, affine = read_header(path)
    voxels = read_voxels(path)
    if voxels.dtype.kind not in "iuf" or voxels.dtype.itemsize == 8:
        voxels = voxels.astype(np.float32)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, "scanner")
    image.set_qform(affine, "scanner")
    nib.save(image, target)
    return target

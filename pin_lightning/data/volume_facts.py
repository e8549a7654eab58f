"""Facts: what a cached working volume remembers of the image it was made from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import nibabel.orientations as orientations
import numpy as np
from jaxtyping import Num
from nibabel.filebasedimages import ImageFileError

# First word of the 80 bytes of text in a NIfTI header; the facts follow.
MARK = "PIN"
DIGEST_BYTES = 8


@dataclass(frozen=True)
class VolumeFacts:
    """What a later check needs to know of an image without reading it again.

    Attributes:
        low: Lower end of its intensity window, in its own units.
        high: Upper end.
        digest: 16 hexadecimal digits, the same for images of the same voxels.
    """

    low: float
    high: float
    digest: str


def voxel_digest(voxels: Num[np.ndarray, "X Y Z"], affine: Num[np.ndarray, "4 4"]) -> str:
    """Digest of an image's shape and voxels, whatever its format and the order of its axes.

    Args:
        voxels: Intensities, along the image's own axes.
        affine: Voxel index to world RAS+ mm; it puts the axes in the order closest to RAS.
    """
    turned = orientations.apply_orientation(voxels, orientations.io_orientation(affine))
    digest = hashlib.blake2b(repr(turned.shape).encode(), digest_size=DIGEST_BYTES)
    for plane in turned:
        # Adding 0 makes a negative zero positive.
        digest.update((np.ascontiguousarray(plane, dtype="<f4") + np.float32(0)).tobytes())
    return digest.hexdigest()


def write_facts(header: Any, facts: VolumeFacts) -> None:
    """Put facts into a NIfTI header."""
    header["descrip"] = f"{MARK} {facts.low!r} {facts.high!r} {facts.digest}".encode()


def read_facts(path: Path) -> VolumeFacts:
    """Facts of a cached working volume, from its header alone.

    Raises:
        ValueError: The file is not a working volume, or not a whole one.
    """
    try:
        header: Any = nib.load(path).header
        mark, low, high, digest = bytes(header["descrip"]).rstrip(b"\0").decode("ascii").split()
        if mark == MARK and len(digest) == 2 * DIGEST_BYTES:
            return VolumeFacts(low=float(low), high=float(high), digest=digest)
    except (OSError, ValueError, KeyError, ImageFileError) as error:
        raise _not_ours(path) from error
    raise _not_ours(path)


def _not_ours(path: Path) -> ValueError:
    return ValueError(f"{path}: not a cached working volume; delete it, it is made again")

"""Facts of the original image, stored in the header of its cached working volume."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import nibabel.orientations as orientations
import numpy as np
from jaxtyping import Num
from nibabel.filebasedimages import ImageFileError

from pin_lightning.data.intensity_windows import fits_float32

MARK = "PIN"  # first word of the description in the NIfTI header (80 bytes); the facts follow
DIGEST_BYTES = 8


@dataclass(frozen=True)
class VolumeFacts:
    """Facts of an image for checks that do not read it again.

    Attributes:
        low: Lower end of its intensity window, in its own units.
        high: Upper end.
        digest: 16 hexadecimal digits, the same for images of the same voxels.
    """

    low: float
    high: float
    digest: str


def voxel_digest(voxels: Num[np.ndarray, "X Y Z"], affine: Num[np.ndarray, "4 4"]) -> str:
    """Digest of an image's shape and voxels, independent of its format and order of axes.

    Args:
        voxels: Intensities, along the image's own axes.
        affine: Voxel index to world RAS+ mm, by which the axes are put in the order closest to RAS.
    """
    turned = orientations.apply_orientation(voxels, orientations.io_orientation(affine))
    digest = hashlib.blake2b(repr(turned.shape).encode(), digest_size=DIGEST_BYTES)
    fits = fits_float32(float(turned.min()), float(turned.max()))
    for plane in turned:
        # Adding 0 turns negative zeros into positive ones.
        same = np.ascontiguousarray(plane, dtype="<f4" if fits else "<f8") + np.float32(0)
        digest.update(same.tobytes())
    return digest.hexdigest()


def write_facts(header: Any, facts: VolumeFacts) -> None:
    """Store facts in a NIfTI header."""
    header["descrip"] = f"{MARK} {facts.low!r} {facts.high!r} {facts.digest}".encode()


def read_facts(path: Path) -> VolumeFacts:
    """Read the facts of a cached working volume from its header.

    Raises:
        ValueError: The file is not a working volume, or is damaged.
    """
    try:
        header: Any = nib.load(path).header
        mark, low, high, digest = bytes(header["descrip"]).rstrip(b"\0").decode("ascii").split()
        if mark != MARK or len(digest) != 2 * DIGEST_BYTES:
            raise ValueError("no facts")
        return VolumeFacts(low=float(low), high=float(high), digest=digest)
    except (OSError, ValueError, KeyError, ImageFileError) as error:
        raise ValueError(
            f"{path}: not a cached working volume; delete it, and it will be made again"
        ) from error

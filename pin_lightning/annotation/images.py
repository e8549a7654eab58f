"""Images of volumes for a browser: the whole at a size that it can hold, and details at full."""

import gzip
import hashlib
import threading
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation

from pin_lightning.annotation.frames import (
    ViewFrame,
    ViewGrid,
    detail_grid,
    finest_mm,
    is_sheared,
    overview_grid,
    scanner_frame,
)
from pin_lightning.annotation.nifti_bytes import Encoding, nifti_bytes
from pin_lightning.annotation.recent import Recent
from pin_lightning.annotation.resampling import sampled, shrunk
from pin_lightning.annotation.volumes import Scan
from pin_lightning.common.geometry import Vector, canonical_affine, canonical_axes
from pin_lightning.data.images.limits import memory_bytes
from pin_lightning.data.images.reading import Header, read_header, read_voxels
from pin_lightning.data.intensity_windows import percentile_window
from pin_lightning.data.preprocessing import antialias

MOST_BYTES, MOST_SHARE = 2**30, 0.125  # of images in memory, and of the memory there is
READERS = 2  # files that are read at once: each may be large
COMPRESSION = 1  # of gzip: it is sent to this machine, or nearby


@dataclass(frozen=True, eq=False)
class _Whole:
    """A scan as its file has it.

    Attributes:
        header: Shape and affine of the scan.
        voxels: Its intensities.
    """

    header: Header
    voxels: Num[np.ndarray, "X Y Z"]


@dataclass(frozen=True, eq=False)
class Overview:
    """A scan along its axes, at a size that a browser can hold.

    Attributes:
        header: Shape and affine of the scan.
        grid: Its voxels.
        stored: What they hold.
        encoding: How.
        window: Intensities that become black and white.
    """

    header: Header
    grid: ViewGrid
    stored: Num[np.ndarray, "X Y Z"]
    encoding: Encoding
    window: tuple[float, float]


class Images:
    """Images of volumes, of which those that were used most recently stay in memory."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._recent = Recent(int(min(most_bytes, MOST_SHARE * memory_bytes())))
        self._reading = threading.Semaphore(READERS)
        self._windows = dict[tuple[str, str], tuple[float, float]]()

    def window(self, scan: Scan) -> tuple[float, float]:
        """Intensities of a volume that become black and white.

        Raises:
            ValueError: It cannot be read.
        """
        key = (scan.id, scan.file.stamp())
        if key not in self._windows:
            self._windows[key] = self._overview(scan).window
        return self._windows[key]

    def tag(self, scan: Scan, frame: ViewFrame) -> str:
        """What tells whether an image has changed."""
        text = f"{scan.file.stamp()} {frame.to_world.tolist()} {frame.extent_mm}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def overview(self, scan: Scan, frame: ViewFrame) -> bytes:
        """A whole volume along the axes of a frame, as a compressed NIfTI file.

        Raises:
            ValueError: It cannot be read.
        """

        def make() -> tuple[bytes, int]:
            made = gzip.compress(self._seen_from(self._overview(scan), frame), COMPRESSION)
            return made, len(made)

        return self._recent.get((scan.id, "sent", self.tag(scan, frame)), make)

    def detail(self, scan: Scan, frame: ViewFrame, centre_mm: Vector, side_mm: float) -> bytes:
        """A cube at the finest spacing of a volume, as a compressed NIfTI file.

        Args:
            scan: The volume.
            frame: Frame along whose axes the cube lies.
            centre_mm: Its centre in the frame.
            side_mm: Its side, which is cut to what a browser can hold.

        Raises:
            ValueError: The volume cannot be read.
        """
        whole, overview = self._whole(scan), self._overview(scan)
        grid = detail_grid(whole.header, frame, centre_mm, side_mm)
        to_voxels = np.linalg.inv(whole.header[1]) @ frame.to_world @ grid.affine
        part = sampled(whole.voxels, to_voxels, grid.size, overview.encoding.low)
        stored = overview.encoding.stored(part)
        return gzip.compress(
            nifti_bytes(stored, grid, overview.encoding, overview.window), COMPRESSION
        )

    def _whole(self, scan: Scan) -> _Whole:
        def make() -> tuple[_Whole, int]:
            with self._reading, scan.local() as path:
                whole = _Whole(read_header(path), read_voxels(path))
            if not np.isfinite([whole.voxels.min(), whole.voxels.max()]).all():
                raise ValueError(f"{scan.name}: some voxels are NaN or infinite")
            return whole, whole.voxels.nbytes

        return self._recent.get((scan.id, "whole", scan.file.stamp()), make)

    def _overview(self, scan: Scan) -> Overview:
        def make() -> tuple[Overview, int]:
            made = _overview_of(self._whole(scan))
            return made, made.stored.nbytes

        return self._recent.get((scan.id, "overview", scan.file.stamp()), make)

    @staticmethod
    def _seen_from(overview: Overview, frame: ViewFrame) -> bytes:
        along = scanner_frame(overview.header)
        encoding, window = overview.encoding, overview.window
        if np.array_equal(along.to_world, frame.to_world):
            return nifti_bytes(overview.stored, overview.grid, encoding, window)
        grid = overview_grid(overview.header, frame, along_voxels=False)
        to_overview = np.linalg.inv(along.to_world @ overview.grid.affine)
        stored = overview.stored
        if grid.spacing_mm[0] > 1.2 * finest_mm((overview.grid.size, overview.grid.affine)):
            sides = np.array(overview.grid.spacing_mm)
            stored = antialias(stored.astype(np.float32), sides, grid.spacing_mm[0])
        seen = sampled(stored, to_overview @ frame.to_world @ grid.affine, grid.size, 0.0)
        kept = np.rint(seen).astype(overview.stored.dtype)
        return nifti_bytes(kept, grid, encoding, window)


def _overview_of(whole: _Whole) -> Overview:
    """Overview of a scan along its axes; of one with sheared voxels, along the closest ones."""
    shape, affine = whole.header
    frame, straight = scanner_frame(whole.header), not is_sheared(whole.header)
    grid = overview_grid(whole.header, frame, straight)
    if straight:
        voxels = apply_orientation(whole.voxels, canonical_axes(affine))
        if voxels.shape != grid.size:
            sides = voxel_sizes(canonical_affine(affine, shape)[0]).tolist()
            voxels = _as_before(shrunk(voxels, sides, grid.spacing_mm), voxels.dtype)
    else:
        to_voxels = np.linalg.inv(affine) @ frame.to_world @ grid.affine
        least = float(whole.voxels.min())
        voxels = _as_before(sampled(whole.voxels, to_voxels, grid.size, least), whole.voxels.dtype)
    window = _window(voxels)
    encoding = Encoding.of(whole.voxels, window)
    return Overview(whole.header, grid, encoding.stored(voxels), encoding, window)


def _as_before(voxels: Num[np.ndarray, "X Y Z"], dtype: np.dtype) -> Num[np.ndarray, "X Y Z"]:
    """Whole numbers, where a scan has such."""
    if dtype.kind not in "iu":
        return voxels
    return np.rint(voxels).astype(np.int64 if dtype.itemsize > 2 else np.int32)


def _window(voxels: Num[np.ndarray, "X Y Z"]) -> tuple[float, float]:
    low, high = float(voxels.min()), float(voxels.max())
    return (low, low + 1.0) if low == high else percentile_window(voxels)

"""View frames: axis-aligned frames in mm in which a browser shows a volume."""

import itertools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Num
from nibabel.affines import apply_affine, voxel_sizes

from pin_lightning.common.geometry import Vector, canonical_affine
from pin_lightning.data.images.reading import Header
from pin_lightning.data.scan_levels import scan_to_world

SCANNER, ANATOMICAL = "scanner", "anatomical"
FRAMES = (SCANNER, ANATOMICAL)
MOST_VOXELS, MOST_DETAIL_VOXELS = 256, 128  # along a side
Matrix: TypeAlias = Float64[np.ndarray, "4 4"]
Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class ViewFrame:
    """A frame in mm, as world is, but along the axes of a scan or an anatomy.

    Attributes:
        to_world: View mm to world RAS+ mm: a rotation and a shift.
        low_mm: Lowest corner of the scan's box in this frame.
        extent_mm: Sides of the box.
    """

    to_world: Matrix
    low_mm: Triple
    extent_mm: Triple


@dataclass(frozen=True)
class ViewGrid:
    """Voxels along the axes of a view frame.

    Attributes:
        size: Voxels along each axis.
        spacing_mm: Their sides.
        first_mm: Centre of the first voxel.
    """

    size: tuple[int, int, int]
    spacing_mm: Triple
    first_mm: Triple

    @property
    def affine(self) -> Matrix:
        """Voxel index to view mm: diagonal and positive."""
        affine = np.diag([*self.spacing_mm, 1.0])
        affine[:3, 3] = self.first_mm
        return affine


def scanner_frame(header: Header) -> ViewFrame:
    """Scan mm: from the centre of the scan, along its axes in the order closest to RAS."""
    shape, affine = header
    canonical, _ = canonical_affine(affine, shape)
    to_world = scan_to_world(affine, shape)
    if is_sheared(header):
        return _around(header, to_world)
    sides = voxel_sizes(canonical) * _canonical_shape(header)
    return ViewFrame(to_world, _triple(-sides / 2), _triple(sides))


def anatomical_frame(header: Header, to_world: Num[np.ndarray, "4 4"]) -> ViewFrame:
    """The frame of a found pose, in mm of the scan.

    Args:
        header: Of the scan.
        to_world: Anatomical mm to world RAS+ mm; its size does not count.
    """
    rigid = np.array(to_world, dtype=float)
    rigid[:3, :3] /= np.linalg.norm(rigid[:3, :3], axis=0)
    return _around(header, rigid)


def view_frames(header: Header, pose: Num[np.ndarray, "4 4"] | None) -> dict[str, ViewFrame]:
    """Frames of a scan by their names.

    Args:
        header: Of the scan.
        pose: Anatomical mm to world RAS+ mm, where a pose was found.
    """
    frames = {SCANNER: scanner_frame(header)}
    if pose is not None:
        frames[ANATOMICAL] = anatomical_frame(header, pose)
    return frames


def finest_mm(header: Header) -> float:
    """Finest voxel side of a scan."""
    return float(voxel_sizes(header[1]).min())


def is_sheared(header: Header) -> bool:
    """Whether the voxels of a scan are not boxes: by a twentieth of a voxel at its corner."""
    shape, affine = header
    canonical, sizes = canonical_affine(affine, shape)
    sides, straight = voxel_sizes(canonical), scan_to_world(affine, shape)[:3, :3]
    off_mm = (canonical[:3, :3] - straight * sides) @ (np.array(sizes) / 2)
    return bool(np.abs(off_mm).max() > 0.05 * sides.min())


def overview_grid(header: Header, frame: ViewFrame, along_voxels: bool) -> ViewGrid:
    """Grid of a whole scan, of at most `MOST_VOXELS` along each axis.

    Args:
        header: Of the scan.
        frame: The frame.
        along_voxels: Its axes are those of the scan: voxels as they are, unless they are too many.
    """
    extent = np.array(frame.extent_mm)
    if along_voxels:
        spacing = voxel_sizes(canonical_affine(header[1], header[0])[0])
        spacing = np.where(extent / spacing > MOST_VOXELS + 0.5, extent / MOST_VOXELS, spacing)
    else:
        spacing = np.full(3, max(finest_mm(header), float(extent.max()) / MOST_VOXELS))
    size = np.clip(np.ceil(extent / spacing - 1e-3), 1, MOST_VOXELS).astype(int)
    centre = np.array(frame.low_mm) + extent / 2
    return ViewGrid(_whole(size), _triple(spacing), _triple(centre - (size - 1) / 2 * spacing))


def detail_grid(header: Header, frame: ViewFrame, centre_mm: Vector, side_mm: float) -> ViewGrid:
    """Grid of a cube at the finest spacing of a scan, of at most `MOST_DETAIL_VOXELS` a side.

    Where the frame's axes have voxels of that spacing, those of the cube lie upon them.
    """
    spacing = finest_mm(header)
    size = int(np.clip(np.round(side_mm / spacing), 2, MOST_DETAIL_VOXELS))
    first = np.array(centre_mm, dtype=float) - (size - 1) / 2 * spacing
    on_voxel = np.array(frame.low_mm) + spacing / 2
    first = on_voxel + np.round((first - on_voxel) / spacing) * spacing
    return ViewGrid((size, size, size), (spacing,) * 3, _triple(first))


def _around(header: Header, to_world: Matrix) -> ViewFrame:
    """Frame with the box around a scan."""
    shape, affine = header
    ends = [(-0.5, side - 0.5) for side in shape]
    corners = apply_affine(affine, np.array(list(itertools.product(*ends))))
    inside = apply_affine(np.linalg.inv(to_world), corners)
    low, high = inside.min(axis=0), inside.max(axis=0)
    return ViewFrame(to_world, _triple(low), _triple(high - low))


def _canonical_shape(header: Header) -> Float64[np.ndarray, "3"]:
    return np.array(canonical_affine(header[1], header[0])[1], dtype=float)


def _triple(values: Num[np.ndarray, "3"]) -> Triple:
    x, y, z = (float(one) for one in values)
    return x, y, z


def _whole(values: Num[np.ndarray, "3"]) -> tuple[int, int, int]:
    x, y, z = (int(one) for one in values)
    return x, y, z

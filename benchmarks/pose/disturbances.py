"""Scans with something otherwise: another field of view, padding, metal, a turned file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage
from scipy.spatial.transform import Rotation

METAL_SHARE, METAL_TIMES = 0.01, 5.0  # of the voxels; brightness, in ranges above the darkest


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan with its landmarks.

    Attributes:
        voxels: Intensities [X, Y, Z].
        affine: Voxel index to world RAS+ mm.
        landmarks_world: RAS+ mm [L, 3], NaN where missing.
    """

    voxels: np.ndarray
    affine: np.ndarray
    landmarks_world: np.ndarray

    @property
    def landmarks_ijk(self) -> np.ndarray:
        """Landmarks as voxel indices."""
        return apply_affine(np.linalg.inv(self.affine), self.landmarks_world)

    def visible(self) -> np.ndarray:
        """Which landmarks [L] lie within the scan."""
        ijk = self.landmarks_ijk
        return ((ijk >= -0.5) & (ijk <= np.array(self.voxels.shape) - 0.5)).all(axis=1)


Disturbance = Callable[[Scan, np.random.Generator], Scan]


def moved(affine: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Affine of an array that begins at another voxel."""
    shifted = affine.copy()
    shifted[:3, 3] = apply_affine(affine, first)
    return shifted


def kept(scan: Scan, axis: int, begin: int, end: int) -> Scan:
    """The slices from begin to end along an axis."""
    inner = [slice(None)] * 3
    inner[axis] = slice(begin, end)
    voxels = np.ascontiguousarray(scan.voxels[tuple(inner)])
    return replace(scan, voxels=voxels, affine=moved(scan.affine, begin * np.eye(3)[axis]))


def cut(axis: int, at_end: bool, share: float = 0.25) -> Disturbance:
    """Cut away a share of the scan on one side."""

    def disturb(scan: Scan, _: np.random.Generator) -> Scan:
        size = scan.voxels.shape[axis]
        depth = round(share * size)
        return kept(scan, axis, 0 if at_end else depth, size - depth if at_end else size)

    return disturb


def half_of_anatomy(scan: Scan, _: np.random.Generator) -> Scan:
    """Cut through the middle of the landmarks, across their longest side."""
    ijk = scan.landmarks_ijk
    sides = np.nanmax(ijk, axis=0) - np.nanmin(ijk, axis=0)
    axis = int((sides * voxel_sizes(scan.affine)).argmax())
    middle = int(np.clip(np.nanmedian(ijk[:, axis]), 2, scan.voxels.shape[axis] - 2))
    return kept(scan, axis, 0, middle)


def padded(value: float, share: float = 0.25) -> Disturbance:
    """Add a share of the scan, of one value, on every side."""

    def disturb(scan: Scan, _: np.random.Generator) -> Scan:
        width = [round(share * size) for size in scan.voxels.shape]
        sides = [(one, one) for one in width]
        voxels = np.pad(wide(scan.voxels), sides, constant_values=value)
        return replace(scan, voxels=voxels, affine=moved(scan.affine, -np.array(width)))

    return disturb


def surrounded(scan: Scan, size: Sequence[int], generator: np.random.Generator) -> Scan:
    """Put a scan at any place of a larger one that looks like its faces."""
    room = np.array(size) - scan.voxels.shape
    if (room < 0).any():
        raise SystemExit(f"size={list(size)}: the scan has {list(scan.voxels.shape)} voxels")
    first = generator.integers(room + 1)
    faces = [np.take(scan.voxels, [0, -1], axis).ravel() for axis in range(3)]
    voxels = generator.choice(np.concatenate(faces), size)
    voxels[tuple(map(slice, first, first + scan.voxels.shape))] = scan.voxels
    return replace(scan, voxels=voxels, affine=moved(scan.affine, -first))


def metal(in_one_ball: bool) -> Disturbance:
    """Make 1 % of the voxels far brighter, in balls. Landmarks within them are not visible."""

    def disturb(scan: Scan, generator: np.random.Generator) -> Scan:
        voxels = wide(scan.voxels)
        low, high = np.percentile(voxels, [1, 99])
        bright = low + METAL_TIMES * (high - low)
        whole = (METAL_SHARE * voxels.size * 3 / (4 * np.pi)) ** (1 / 3)
        radius = round(whole) + 1 if in_one_ball else max(1, round(0.03 * min(voxels.shape)))
        balls = np.zeros(voxels.shape, dtype=bool)
        while balls.mean() < METAL_SHARE:
            balls |= _ball(voxels.shape, radius, generator, in_one_ball)
        inside = np.round(np.nan_to_num(scan.landmarks_ijk)).astype(int)
        inside = np.clip(inside, 0, np.array(voxels.shape) - 1)
        hidden = balls[tuple(inside.T)]
        seen = np.where(hidden[:, None], np.nan, scan.landmarks_world)
        return Scan(np.where(balls, np.array(bright, voxels.dtype), voxels), scan.affine, seen)

    return disturb


def _ball(
    shape: tuple[int, ...], radius: int, generator: np.random.Generator, whole: bool
) -> np.ndarray:
    """A ball at any place, or at any place where it is whole."""
    room = radius if whole else 0
    middle = [int(generator.integers(room, size - room)) for size in shape]
    grid = np.ogrid[tuple(slice(0, size) for size in shape)]
    return sum((g - m) ** 2 for g, m in zip(grid, middle, strict=True)) <= radius**2


def turned(with_header: bool) -> Disturbance:
    """Turn the voxels by any rotation; with the header, so that the anatomy stays in the world."""

    def disturb(scan: Scan, generator: np.random.Generator) -> Scan:
        rotation = Rotation.random(random_state=generator).as_matrix()
        sides_mm, size = voxel_sizes(scan.affine), np.array(scan.voxels.shape)
        directions = scan.affine[:3, :3] / sides_mm
        # A box that holds the turned scan; along the axes of the image in mm, from its centre.
        reach_mm = np.abs(rotation) @ (size * sides_mm)
        new_size = np.ceil(reach_mm / sides_mm).astype(int)
        matrix = (rotation.T * sides_mm) / sides_mm[:, None]
        middle, new_middle = (size - 1) / 2, (new_size - 1) / 2
        voxels = ndimage.affine_transform(
            scan.voxels.astype(np.float32),
            matrix,
            middle - matrix @ new_middle,
            tuple(new_size.tolist()),
            order=1,
            cval=float(scan.voxels.min()),
        )
        centre = apply_affine(scan.affine, middle)
        affine = np.eye(4)
        affine[:3, :3] = directions @ (rotation.T if with_header else np.eye(3)) * sides_mm
        affine[:3, 3] = centre - affine[:3, :3] @ new_middle
        landmarks = scan.landmarks_world
        if not with_header:
            turn = directions @ rotation @ np.linalg.inv(directions)
            landmarks = (landmarks - centre) @ turn.T + centre
        return Scan(as_stored(voxels, scan.voxels), affine, landmarks)

    return disturb


def noise(scan: Scan, generator: np.random.Generator) -> Scan:
    """Noise of the scan's mean and spread."""
    drawn = generator.normal(scan.voxels.mean(), scan.voxels.std(), scan.voxels.shape)
    return replace(scan, voxels=drawn.astype(np.float32))


def empty(scan: Scan, generator: np.random.Generator) -> Scan:
    """A constant, and faint noise."""
    drawn = generator.normal(scan.voxels.mean(), 0.01 * scan.voxels.std(), scan.voxels.shape)
    return replace(scan, voxels=drawn.astype(np.float32))


def wide(voxels: np.ndarray) -> np.ndarray:
    """Voxels of a type that holds any padding."""
    return voxels.astype(np.int32 if np.issubdtype(voxels.dtype, np.integer) else np.float32)


def as_stored(voxels: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Interpolated voxels, whole numbers where the scan had them."""
    return wide(np.rint(voxels).astype(stored.dtype)) if stored.dtype.kind in "iu" else voxels


DISTURBANCES: dict[str, Disturbance] = {
    **{
        f"a quarter cut away, {'end' if at_end else 'start'} of axis {axis + 1}": cut(axis, at_end)
        for axis in range(3)
        for at_end in (False, True)
    },
    "half as much again of zeros": padded(0),
    "padding -3024": padded(-3024),
    "padding -32768": padded(-32768),
    "1 % metal, in balls all over the scan": metal(in_one_ball=False),
    "1 % metal, in one ball": metal(in_one_ball=True),
    "voxels turned": turned(with_header=False),
    "header and voxels turned": turned(with_header=True),
}
WITHOUT_ANATOMY: dict[str, Disturbance] = {
    "noise": noise,
    "empty, a constant and faint noise": empty,
    "half of the anatomy cut away": half_of_anatomy,
}

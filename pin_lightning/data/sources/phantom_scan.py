"""Ultrasound picture of a phantom: the sector of the probe, shadows, attenuation and speckle."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

APEX_MM = 125.0  # from the probe's virtual apex to the volume's centre, along the y axis
SECTOR_DEGREES = 36.0
NEAREST_MM, FARTHEST_MM = 76.0, 180.0  # from the apex
LOOKS = 2  # compounded; a single look is Rayleigh speckle


def axes_mm(size: Sequence[int], spacing_mm: Sequence[float]) -> tuple[np.ndarray, ...]:
    """Voxel positions in mm from the volume's centre, one broadcastable array per axis."""
    axes = [
        ((np.arange(n) - (n - 1) / 2) * step).astype(np.float32)
        for n, step in zip(size, spacing_mm, strict=True)
    ]
    return tuple(np.meshgrid(*axes, indexing="ij", sparse=True))


def scan(
    tissue: Float[np.ndarray, "X Y Z"],
    bone_mm: Float[np.ndarray, "X Y Z"],
    axes: tuple[np.ndarray, ...],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    field: float = 1.0,
) -> UInt8[np.ndarray, "X Y Z"]:
    """Ultrasound picture of the echoes: angle, shadow, attenuation, speckle, sector.

    Args:
        tissue: Echo of each voxel without bone, 0 to 1.
        bone_mm: Signed distance from the middle of the bone.
        axes: Of `axes_mm`.
        spacing_mm: Voxel sides in mm.
        rng: Source of the speckle.
        field: Extent of the sector relative to the usual one; the probe is as much farther away.
    """
    x, y, z = axes
    # In units in which the sector has its usual size.
    depth = np.sqrt(x**2 + (y + np.float32(APEX_MM * field)) ** 2 + z**2) / np.float32(field)
    # Bone perpendicular to the beam, which runs along y, reflects most and casts a shadow.
    facing = np.zeros_like(bone_mm)
    if bone_mm.shape[1] > 1:
        facing = np.minimum(np.abs(np.gradient(bone_mm, spacing_mm[1], axis=1)), 1)
    skull = np.exp(-((bone_mm / np.float32(1.5)) ** 2)) * (0.35 + 0.65 * facing)
    shade = np.cumsum(skull, axis=1) * np.float32(spacing_mm[1])
    echoes = np.maximum(tissue, skull) * np.exp(-0.12 * (shade - skull))
    # Time gain compensation undoes most of the attenuation, as on a scanner.
    echoes *= np.exp(-0.004 * (depth - np.float32(NEAREST_MM)))
    echoes *= speckle(echoes.shape, spacing_mm, depth, rng)
    picture = np.log1p(np.float32(12.0) * echoes) / np.float32(np.log(13.0))
    inside = (depth > NEAREST_MM) & (depth < FARTHEST_MM)
    widest = np.tan(np.deg2rad(SECTOR_DEGREES)) * (y + APEX_MM * field)
    inside &= (np.abs(x) < widest) & (np.abs(z) < widest)
    return (np.clip(picture, 0, 1) * 255 * inside).astype(np.uint8)


def speckle(
    shape: tuple[int, ...],
    spacing_mm: Sequence[float],
    depth: Float[np.ndarray, "X Y Z"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "X Y Z"]:
    """Compounded speckle around one, whose grains widen across the beam with depth."""
    share = np.clip((depth - NEAREST_MM) / (FARTHEST_MM - NEAREST_MM), 0, 1)
    power = np.zeros(shape, np.float32)
    for _ in range(2 * LOOKS):  # real and imaginary part of each look
        near = _grains(shape, spacing_mm, (0.7, 0.5, 0.7), rng) * np.sqrt(1 - share)
        power += (near + _grains(shape, spacing_mm, (1.8, 0.6, 1.8), rng) * np.sqrt(share)) ** 2
    return np.sqrt(power / np.float32(2 * LOOKS))


def _grains(
    shape: tuple[int, ...],
    spacing_mm: Sequence[float],
    grain_mm: Sequence[float],
    rng: np.random.Generator,
) -> Float[np.ndarray, "X Y Z"]:
    noise = rng.standard_normal(shape, dtype=np.float32)
    sigma = [grain / step for grain, step in zip(grain_mm, spacing_mm, strict=True)]
    noise = ndimage.gaussian_filter(noise, sigma, mode="wrap", truncate=3.0)
    return noise / max(float(noise.std()), 1e-6)

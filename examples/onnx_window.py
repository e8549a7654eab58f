"""Intensity windows for `onnx_landmarks.py`, by the rule that a file names.

``robust``, of runs that find the pose first: filling values and metal are left out, and air adds
almost nothing. `docs/deployment.md` has both rules in words.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

MOST_VOXELS = 2**20
FILLING_SHARE, FILLING_TIMES, NEIGHBOURS, FEWEST_LEVELS = 0.03, 10, 9, 8
LOW_SHARE, SIGNAL_SHARE, EDGE_SHARE = 0.005, 0.97, 0.1
METAL_TIMES, STRETCH_SHARE, STRETCH_OF_METAL = 2.5, 0.002, 0.25
FAR_TIMES = 2.0
SURELY_METAL, MOST_METAL, BRIGHT_SIDE = 0.06, 0.2, 4.0
SATURATED_SHARE, SATURATED_TIMES = 0.001, 1.2
SMALLEST, MOST_RANGES = 1e-30, 1000.0  # of what float32 tells apart

Histogram = tuple[np.ndarray, np.ndarray]  # sorted intensities, and how many voxels have each


def window(voxels: np.ndarray, settings: Mapping[str, Any]) -> tuple[float, float]:
    """Intensities that become 0 and 255, by the entry ``preprocessing`` of a file.

    Raises:
        ValueError: It names another rule.
    """
    rule = settings.get("window", "percentiles")
    if rule == "robust":
        return robust_window(voxels)
    if rule != "percentiles":
        raise ValueError(f"window={rule}: is a rule that this script does not know")
    minimum = voxels.min()
    above = voxels[voxels > minimum]
    mostly_background = above.size < (1 - settings["background_fraction"]) * voxels.size
    low, high = np.percentile(above if mostly_background else voxels, settings["percentiles"])
    return (low, high) if low < high else (minimum, above.max())


def without_metal(
    voxels: np.ndarray, low_high: tuple[float, float], settings: Mapping[str, Any]
) -> np.ndarray:
    """With a robust window, voxels far beyond it are black: as what lies outside the image."""
    low, high = low_high
    far = low + FAR_TIMES * (high - low)
    if settings.get("window") != "robust" or voxels.max() <= far:
        return voxels
    return np.where(voxels > far, np.asarray(low).astype(voxels.dtype), voxels)


def rescaled(voxels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Intensities in float32 with the window from 0 to 255; in float64 where that is too coarse."""
    unit = max(abs(low), abs(high))
    fits = SMALLEST < unit < 1 / SMALLEST and unit <= MOST_RANGES * (high - low)
    with np.errstate(over="ignore"):
        if fits:
            shifted = voxels.astype(np.float32)
        else:
            shifted, low, high = voxels.astype(np.float64) / unit, low / unit, high / unit
        shifted -= shifted.dtype.type(low)
        shifted *= shifted.dtype.type(255 / (high - low))
    return np.clip(shifted, 0, 255).astype(np.float32)


def robust_window(voxels: np.ndarray) -> tuple[float, float]:
    """Intensities that become 0 and 255: the low end by rank, the high end by summed signal."""
    every = next(k for k in range(1, voxels.size + 1) if voxels.size <= MOST_VOXELS * k**3)
    levels, counts = np.unique(voxels[::every, ::every, ::every], return_counts=True)
    levels = levels.astype(float)
    usual = ndimage.median_filter(counts, NEIGHBOURS, mode="mirror")
    measured = (counts <= FILLING_SHARE * counts.sum()) | (counts <= FILLING_TIMES * usual)
    if measured.sum() < FEWEST_LEVELS:
        return _whole_range(voxels)
    fillings = levels[~measured & (levels < levels[measured][0])]
    levels, counts = levels[measured], counts[measured]
    if fillings.size:
        levels, counts = _without_edges(levels, counts, fillings[0])
    low = _quantile(levels, counts, LOW_SHARE)
    levels, counts = _without_metal(levels, counts, low)
    high = _quantile(levels, counts * np.maximum(levels - low, 0), SIGNAL_SHARE)
    return (low, high) if low < high else _whole_range(voxels)


def _whole_range(voxels: np.ndarray) -> tuple[float, float]:
    low, high = float(voxels.min()), float(voxels.max())
    second = float(voxels[voxels > low].min())
    return (second, high) if second - low > high - second > 0 else (low, high)


def _without_edges(levels: np.ndarray, counts: np.ndarray, filling: float) -> Histogram:
    """Leave out mixtures of a filling value with anatomy: what lies below the histogram's knee."""
    tail, middle, top = (_quantile(levels, counts, share) for share in (EDGE_SHARE, 0.5, 0.99))
    if tail - filling <= top - tail:
        return levels, counts
    below = np.cumsum(counts) / counts.sum()
    depth = (levels - filling) / (middle - filling) - below / 0.5
    knee = int(np.argmax(np.where(levels <= middle, depth, -np.inf)))
    return levels[knee:], counts[knee:]


def _without_metal(levels: np.ndarray, counts: np.ndarray, low: float) -> Histogram:
    """Leave out what lies beyond an almost empty stretch of the range."""
    total = counts.sum()
    if counts[-1] >= SATURATED_SHARE * total and levels.size > 1:
        second, brightest = levels[-2:] - low
        if brightest >= SATURATED_TIMES * second > 0:
            levels, counts = levels[:-1], counts[:-1]
    brightness = levels - low
    at_least = np.append(np.cumsum(counts[::-1])[::-1], 0)
    beyond = at_least[np.searchsorted(levels, low + METAL_TIMES * brightness, side="right")]
    stretch = at_least[1:] - beyond
    ends = (brightness > 0) & (beyond > 0) & (beyond <= MOST_METAL * total)
    ends &= stretch <= np.minimum(STRETCH_OF_METAL * beyond, STRETCH_SHARE * total)
    if not ends.any():
        return levels, counts
    first = int(np.argmax(ends))
    kept = levels <= low + (1 + METAL_TIMES) / 2 * brightness[first]
    dark, middle, bright = (_quantile(levels[kept], counts[kept], q) for q in (0.01, 0.5, 0.95))
    is_anatomy = bright - middle <= BRIGHT_SIDE * (middle - dark)
    if beyond[first] > SURELY_METAL * total and is_anatomy:
        return levels, counts
    return levels[kept], counts[kept]


def _quantile(levels: np.ndarray, weights: np.ndarray, share: float) -> float:
    up_to = np.cumsum(weights)
    index = int(np.searchsorted(up_to, share * up_to[-1]))
    return float(levels[min(index, levels.size - 1)])

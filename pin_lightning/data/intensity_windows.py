"""Intensity windows: the range of an image's intensities that becomes black to white."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Num
from scipy import ndimage

Window: TypeAlias = Callable[[Num[np.ndarray, "X Y Z"]], tuple[float, float]]

PERCENTILES = (0.5, 99.5)  # beyond lie metal, noise and reconstruction artefacts
BACKGROUND_FRACTION = 0.5  # with more background, percentiles of all voxels would describe it

MOST_VOXELS = 2**20  # looked at by the robust window
# A value that fills space instead of being measured: held by this share of the voxels, and by this
# many times as many as typically hold one of the nearest values.
FILLING_SHARE, FILLING_TIMES, NEIGHBOURS = 0.03, 10, 9
FEWEST_LEVELS = 8  # fewer make a mask, whose values all count
LOW_SHARE = 0.005  # of the voxels are darker than the window
SIGNAL_SHARE = 0.97  # of the brightness above its low end lies within the window
EDGE_SHARE = 0.1  # at most this share of the voxels mix a filling value with anatomy
# Metal lies beyond a stretch of the range that reaches from the end of the anatomy to so many times
# its brightness, and is almost empty: as shares of all voxels, and of those beyond it.
METAL_TIMES, STRETCH_SHARE, STRETCH_OF_METAL = 2.5, 0.002, 0.25
MOST_METAL = 0.2  # share of the voxels
# Metal of one value, which so many have, is at least so many times as bright as all the rest.
SATURATED_SHARE, SATURATED_TIMES = 0.001, 1.2
# Voxels so many times as far above the low end as the high end is are dark to the networks.
FAR_TIMES = 2.0
# Of what float32 computes with: largest magnitude, and its distance from zero in ranges of values.
SMALLEST, MOST_RANGES = 1e-30, 1000.0
# A larger share may be anatomy in noise: then the rest has to look like anatomy, with a bright side
# so many times as wide as its dark side.
SURELY_METAL, BRIGHT_SIDE = 0.06, 4.0


def percentile_window(voxels: Num[np.ndarray, "X Y Z"]) -> tuple[float, float]:
    """Percentiles 0.5 and 99.5, above the minimum where most voxels are at it.

    Args:
        voxels: Finite intensities, not all equal.
    """
    minimum = voxels.min()
    above = voxels[voxels > minimum]
    mostly_background = above.size < (1 - BACKGROUND_FRACTION) * voxels.size
    low, high = np.percentile(above if mostly_background else voxels, PERCENTILES)
    if low >= high:  # few grey levels, such as a mask
        low, high = minimum, above.max()
    return float(low), float(high)


def robust_window(voxels: Num[np.ndarray, "X Y Z"]) -> tuple[float, float]:
    """Window of what was measured, which hardly follows padding, metal, and the amount of air.

    Filling values are left out, and what mixes with those far below the anatomy. The low end is the
    0.5 percentile of the rest. The high end has 97 % of the signal below it, the sum of intensities
    above the low end: air adds almost nothing to it, however much there is. Metal, which does, is
    left out where an almost empty stretch of the range parts it from the anatomy.

    Args:
        voxels: Finite intensities, not all equal. Of a large image every second or third voxel
            along each axis is looked at.
    """
    every = next(k for k in range(1, voxels.size + 1) if voxels.size <= MOST_VOXELS * k**3)
    levels, counts = np.unique(voxels[::every, ::every, ::every], return_counts=True)
    levels = levels.astype(np.float64)
    measured = ~_filling(counts)
    if measured.sum() < FEWEST_LEVELS:
        return _of_few_levels(voxels)
    fillings = levels[~measured & (levels < levels[measured][0])]
    levels, counts = levels[measured], counts[measured]
    if fillings.size:
        levels, counts = _without_edges(levels, counts, float(fillings[0]))
    low = _quantile(levels, counts, LOW_SHARE)
    levels, counts = _without_metal(levels, counts, low)
    high = _quantile(levels, counts * np.maximum(levels - low, 0), SIGNAL_SHARE)
    return (low, high) if low < high else _of_few_levels(voxels)


def without_metal(
    voxels: Num[np.ndarray, "X Y Z"], window: tuple[float, float]
) -> Num[np.ndarray, "X Y Z"]:
    """Voxels as they are, but those far beyond a robust window are dark: as what lies outside.

    Networks are trained on scans of which parts are cut away, not on metal.

    >>> without_metal(np.array([[[-5, 10, 26, 3000]]]), (0.0, 10.0))
    array([[[-5, 10,  0,  0]]])
    """
    low, high = window
    far = low + FAR_TIMES * (high - low)
    if voxels.max() <= far:  # of most scans: no copy
        return voxels
    return np.where(voxels > far, np.asarray(low).astype(voxels.dtype), voxels)


def rescale(
    voxels: Num[np.ndarray, "X Y Z"], low: float, high: float
) -> Float32[np.ndarray, "X Y Z"]:
    """Map intensities linearly, low to 0 and high to 255, and clip."""
    with np.errstate(over="ignore"):  # far beyond the window
        if fits_float32(low, high):
            shifted: np.ndarray = voxels.astype(np.float32)
        else:
            unit = max(abs(low), abs(high))
            shifted, low, high = voxels.astype(np.float64) / unit, low / unit, high / unit
        shifted -= shifted.dtype.type(low)
        shifted *= shifted.dtype.type(255 / (high - low))
    return np.clip(shifted, 0, 255, out=shifted).astype(np.float32, copy=False)


def fits_float32(low: float, high: float) -> bool:
    """Tell whether float32 holds a range, and tells the values within it apart.

    >>> fits_float32(-1000.0, 3000.0), fits_float32(2e9, 2e9 + 255), fits_float32(0.0, 1e300)
    (True, False, False)
    """
    largest = max(abs(low), abs(high))
    return bool(SMALLEST < largest < 1 / SMALLEST and largest <= MOST_RANGES * (high - low))


WINDOWS: Mapping[str, Window] = {"percentiles": percentile_window, "robust": robust_window}
DEFAULT_WINDOW, ROBUST_WINDOW = "percentiles", "robust"


def _of_few_levels(voxels: Num[np.ndarray, "X Y Z"]) -> tuple[float, float]:
    """Range of all values, without a lowest one that lies far below at least two others."""
    low, high = float(voxels.min()), float(voxels.max())
    second = float(voxels[voxels > low].min())
    return (second, high) if second - low > high - second > 0 else (low, high)


def _filling(counts: Int[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Tell which of the sorted values of an image are filling values, by their counts."""
    typical = ndimage.median_filter(counts, NEIGHBOURS, mode="mirror")
    inside = NEIGHBOURS // 2
    if counts.size >= NEIGHBOURS:  # at the ends, the nearest values all lie on one side
        typical[:inside], typical[-inside:] = typical[inside], typical[-inside - 1]
    return (counts > FILLING_SHARE * counts.sum()) & (counts > FILLING_TIMES * typical)


def _without_edges(
    levels: Float64[np.ndarray, " N"], counts: Int[np.ndarray, " N"], filling: float
) -> tuple[Float64[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """Leave out the voxels that resampling mixed from a filling value far below and the anatomy.

    They are spread thinly over the range; the anatomy begins at the knee of the cumulative
    histogram, the farthest below the chord from the filling value to the median.
    """
    tail, middle, top = (_quantile(levels, counts, q) for q in (EDGE_SHARE, 0.5, 0.99))
    if tail - filling <= top - tail:
        return levels, counts
    below = np.cumsum(counts) / counts.sum()
    depth = (levels - filling) / (middle - filling) - below / 0.5
    knee = int(np.argmax(np.where(levels <= middle, depth, -np.inf)))
    return levels[knee:], counts[knee:]


def _without_metal(
    levels: Float64[np.ndarray, " N"], counts: Int[np.ndarray, " N"], low: float
) -> tuple[Float64[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """Leave out voxels that are many times as bright as all the others, above `low`.

    Of saturated metal, which is of one value, less is asked for.
    """
    total = counts.sum()
    if counts[-1] >= SATURATED_SHARE * total and levels.size > 1:
        second, brightest = levels[-2:] - low
        if brightest >= SATURATED_TIMES * second > 0:
            levels, counts = levels[:-1], counts[:-1]
    at_least = np.append(np.cumsum(counts[::-1])[::-1], 0)
    brightness = levels - low
    end = low + METAL_TIMES * brightness
    beyond = at_least[np.searchsorted(levels, end, side="right")]
    stretch = at_least[1:] - beyond
    is_end = (
        (brightness > 0)
        & (beyond > 0)
        & (beyond <= MOST_METAL * total)
        & (stretch <= np.minimum(STRETCH_OF_METAL * beyond, STRETCH_SHARE * total))
    )
    if not is_end.any():
        return levels, counts
    first = int(np.argmax(is_end))
    # A few bright voxels of the anatomy lie in the stretch, too.
    kept = levels <= low + (1 + METAL_TIMES) / 2 * brightness[first]
    if beyond[first] > SURELY_METAL * total and not _has_bright_side(levels[kept], counts[kept]):
        return levels, counts
    return levels[kept], counts[kept]


def _has_bright_side(levels: Float64[np.ndarray, " N"], counts: Int[np.ndarray, " N"]) -> bool:
    dark, middle, bright = (_quantile(levels, counts, q) for q in (0.01, 0.5, 0.95))
    return bright - middle > BRIGHT_SIDE * (middle - dark)


def _quantile(
    levels: Float64[np.ndarray, " N"], weights: Num[np.ndarray, " N"], share: float
) -> float:
    """First of the sorted levels with at least this share of the weights up to it."""
    up_to = np.cumsum(weights)
    index = int(np.searchsorted(up_to, share * up_to[-1]))
    return float(levels[min(index, levels.size - 1)])

"""Completion of training shapes in which landmarks are missing."""

import numpy as np
from jaxtyping import Bool, Float64

MAX_ITERATIONS = 50  # it converges in about ten
TOLERANCE_MM = 1e-3


def complete_shapes(shapes_mm: Float64[np.ndarray, "M L 3"]) -> Float64[np.ndarray, "M L 3"]:
    """Fill in missing landmarks by their conditional mean under a Gaussian.

    Regularised expectation maximisation (Schneider, J. Climate 2001): a mean and a covariance of
    all coordinates are fitted, missing coordinates are replaced by their conditional mean given
    the known ones, and both steps repeat until nothing moves. The covariance is that of Ledoit and
    Wolf (J. Multivar. Anal. 2004), which is invertible with fewer shapes than coordinates. Each
    shape's translation is removed before a round and added back.

    Args:
        shapes_mm: Shapes in one frame, all three coordinates NaN where a landmark is missing.

    Returns:
        The same shapes without NaN; known landmarks are unchanged.

    Raises:
        ValueError: A landmark is missing from every shape, or a shape has no landmark.

    >>> pair = np.array([[[0, 0, 0], [4, 0, 0]], [[1, 2, 3], [np.nan] * 3]], dtype=float)
    >>> complete_shapes(pair)[1, 1].round(2).tolist()
    [5.0, 2.0, 3.0]
    """
    defined = np.isfinite(shapes_mm).all(axis=2)
    _check(defined)
    if defined.all():
        return shapes_mm.copy()
    known = np.repeat(defined, 3, axis=1)
    filled = np.where(defined[..., None], shapes_mm, _moved_means(shapes_mm))
    for _ in range(MAX_ITERATIONS):
        shift_mm = (filled - filled.mean(axis=0)).mean(axis=1, keepdims=True)
        flat = (filled - shift_mm).reshape(len(filled), -1)
        updated = _conditional_means(flat, known).reshape(filled.shape) + shift_mm
        moved_mm = np.abs(updated - filled).max()
        filled = np.where(defined[..., None], shapes_mm, updated)
        if moved_mm < TOLERANCE_MM:
            break
    return filled


def _check(defined: Bool[np.ndarray, "M L"]) -> None:
    if not defined.any(axis=0).all():
        nowhere = np.flatnonzero(~defined.any(axis=0)).tolist()
        raise ValueError(f"landmarks number {nowhere} are missing from every shape; leave them out")
    if not defined.any(axis=1).all():
        empty = np.flatnonzero(~defined.any(axis=1)).tolist()
        raise ValueError(f"shapes number {empty} have no landmark; leave them out")


def _moved_means(shapes_mm: Float64[np.ndarray, "M L 3"]) -> Float64[np.ndarray, "M L 3"]:
    """Mean shape, shifted to the known landmarks of each shape."""
    shift_mm = np.zeros((len(shapes_mm), 1, 3))
    for _ in range(MAX_ITERATIONS):  # the mean is sharper for shapes that are aligned
        mean_mm = np.nanmean(shapes_mm - shift_mm, axis=0)
        before, shift_mm = shift_mm, np.nanmean(shapes_mm - mean_mm, axis=1, keepdims=True)
        if np.abs(shift_mm - before).max() < TOLERANCE_MM:
            break
    return mean_mm + shift_mm


def _conditional_means(
    values: Float64[np.ndarray, "M D"], known: Bool[np.ndarray, "M D"]
) -> Float64[np.ndarray, "M D"]:
    """Fit a Gaussian to all rows, and set unknown values to their conditional mean.

    That is ``m_u + S_uk S_kk^-1 (x_k - m_k)``, or by the inverse P of the covariance, of which only
    the few unknown rows are needed, ``m_u - P_uu^-1 P_uk (x_k - m_k)``.
    """
    from sklearn.covariance import LedoitWolf  # heavy, and not needed to predict

    model = LedoitWolf().fit(values)
    mean, precision = model.location_, model.precision_  # pseudo-inverse: shapes may be all alike
    pull = np.where(known, values - mean, 0) @ precision
    filled, counts = values.copy(), (~known).sum(axis=1)
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        unknown = np.nonzero(~known[rows])[1].reshape(len(rows), count)
        within = precision[unknown[:, :, None], unknown[:, None, :]]
        across = np.take_along_axis(pull[rows], unknown, axis=1)
        # Least squares where all shapes are the same, whose covariance is 0.
        moved = np.linalg.pinv(within, hermitian=True) @ across[..., None]
        filled[rows[:, None], unknown] = mean[unknown] - moved[..., 0]
    return filled

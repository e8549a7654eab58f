"""Gaussian over shapes: predicts a landmark from the others of its case; finds outliers by it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial.distance import cdist
from sklearn.covariance import LedoitWolf

# Variance of a shift of the whole shape, in units of the mean variance of a coordinate: large
# enough to make the position in the volume uninformative, small enough to stay invertible.
SHIFT_VARIANCE = 1e4
EXACT = 1e-7  # share of the size, to which coordinates are known at best
EXCHANGE_GAIN = 0.5  # share of the distances that an exchange of names must fall below


@dataclass(frozen=True, eq=False)
class ShapeGaussian:
    """Mean and covariance of shapes with free translation.

    Attributes:
        mean_mm: Mean shape [L, 3].
        covariance: Covariance of the coordinates [3 L, 3 L], mm squared.
    """

    mean_mm: Float64[np.ndarray, "L 3"]
    covariance: Float64[np.ndarray, "D D"]

    @classmethod
    def fit(cls, shapes_mm: Float64[np.ndarray, "M L 3"]) -> "ShapeGaussian":
        """Fit to at least two complete shapes without their translations.

        The covariance is that of Ledoit and Wolf (J. Multivar. Anal. 2004), which is invertible
        with fewer shapes than coordinates.
        """
        fitted = LedoitWolf(store_precision=False).fit(shapes_mm.reshape(len(shapes_mm), -1))
        count = shapes_mm.shape[1]
        least = max((EXACT * float(np.abs(shapes_mm).max())) ** 2, np.finfo(float).tiny)
        variance = max(float(np.trace(fitted.covariance_)) / (3 * count), least)
        shift = np.kron(np.ones((count, count)), np.eye(3)) * SHIFT_VARIANCE
        # The small diagonal keeps it invertible for identical shapes.
        spread = fitted.covariance_ + variance * (shift + 1e-6 * np.eye(3 * count))
        return cls(fitted.location_.reshape(-1, 3), spread)

    def residuals(self, shape_mm: Float64[np.ndarray, "L 3"]) -> Float64[np.ndarray, "L 3"]:
        """Offsets in mm of each landmark from its conditional mean given all the others.

        With P the inverse covariance of the known landmarks, the offset of landmark j is
        ``inv(P_jj) (P (x - mean))_j``. Missing landmarks are NaN in the shape and the result.
        """
        known = np.flatnonzero(np.isfinite(shape_mm).all(axis=1))
        precision = np.linalg.inv(self._block(known, known))
        pulls = (precision @ (shape_mm - self.mean_mm)[known].ravel()).reshape(-1, 3)
        each = np.arange(len(known))
        own = precision.reshape(len(known), 3, len(known), 3)[each, :, each]
        residuals = np.full(shape_mm.shape, np.nan)
        residuals[known] = np.linalg.solve(own, pulls[..., None])[..., 0]
        return residuals

    def predict(
        self, shape_mm: Float64[np.ndarray, "L 3"], given: Bool[np.ndarray, " L"]
    ) -> Float64[np.ndarray, "L 3"]:
        """Conditional mean in mm of all landmarks, given some of a shape."""
        kept, everywhere = np.flatnonzero(given), np.arange(len(given))
        offsets = (shape_mm - self.mean_mm)[kept].ravel()
        weights = np.linalg.solve(self._block(kept, kept), offsets)
        return self.mean_mm + (self._block(everywhere, kept) @ weights).reshape(-1, 3)

    def _block(
        self, rows: Int64[np.ndarray, " R"], columns: Int64[np.ndarray, " C"]
    ) -> Float64[np.ndarray, "..."]:
        across, down = (3 * index[:, None] + np.arange(3) for index in (columns, rows))
        return self.covariance[np.ix_(down.ravel(), across.ravel())]


@dataclass(frozen=True)
class Suspects:
    """Outlying landmarks of one case.

    Attributes:
        distances_mm: Distance from the prediction by landmark index, worst first.
        exchanged: Pairs with an outlier that fit better with their names exchanged.
    """

    distances_mm: dict[int, float]
    exchanged: tuple[tuple[int, int], ...]


def suspects(
    model: ShapeGaussian,
    shape_mm: Float64[np.ndarray, "L 3"],
    limits_mm: Float64[np.ndarray, " L"],
    most: int,
) -> Suspects:
    """Find landmarks that lie too far from their prediction by the others.

    The worst one is set aside and the rest tested again, so that one wrong landmark does not make
    others suspect; finally each is compared with the prediction of those that were kept.

    Args:
        model: Gaussian of other cases.
        shape_mm: A shape, NaN where a landmark is missing.
        limits_mm: Largest usual distance per landmark.
        most: Most landmarks to set aside; two are always kept.
    """
    rest, aside = shape_mm.copy(), list[int]()
    while len(aside) < most and np.isfinite(rest).all(axis=1).sum() > 2:
        excess = np.nan_to_num(np.linalg.norm(model.residuals(rest), axis=1) / limits_mm)
        worst = int(excess.argmax())
        if excess[worst] <= 1:
            break
        rest[worst] = np.nan
        aside.append(worst)
    kept = np.isfinite(rest).all(axis=1)
    predicted = model.predict(shape_mm, kept)
    off_mm = {index: float(np.linalg.norm(shape_mm[index] - predicted[index])) for index in aside}
    worst_first = sorted(aside, key=lambda index: -off_mm[index])
    off = {index: off_mm[index] for index in worst_first if off_mm[index] > limits_mm[index]}
    pairs = {_exchange(model, shape_mm, kept, index) for index in off}
    return Suspects(off, tuple(sorted(pair for pair in pairs if pair is not None)))


def _exchange(
    model: ShapeGaussian,
    shape_mm: Float64[np.ndarray, "L 3"],
    kept: Bool[np.ndarray, " L"],
    suspect: int,
) -> tuple[int, int] | None:
    """The pair whose exchange would reduce the distances most, and to less than half."""
    best, pair = EXCHANGE_GAIN, None
    for other in np.flatnonzero(np.isfinite(shape_mm).all(axis=1)).tolist():
        both = [suspect, other]
        given = kept & ~np.isin(np.arange(len(kept)), both)
        if other != suspect and given.sum() > 1:
            apart = cdist(shape_mm[both], model.predict(shape_mm, given)[both])
            share = (apart[0, 1] + apart[1, 0]) / (apart[0, 0] + apart[1, 1])
            if share < best:
                best, pair = share, (min(both), max(both))
    return pair

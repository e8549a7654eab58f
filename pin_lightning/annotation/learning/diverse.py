"""The volume that is most unlike those that are done: in form, in pose, in appearance."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.spatial.distance import cdist

from pin_lightning.common.alignment import align_shapes

Features = Float64[np.ndarray, "N _"]


def most_unlike(
    blocks: Sequence[Features], candidates: Sequence[int], done: Sequence[int]
) -> int | None:
    """The candidate that is farthest from the nearest one that is done.

    Of several blocks of features, each counts alike: its distances are in units of their median.

    >>> form = np.array([[0.0], [1.0], [9.0], [4.0]])
    >>> most_unlike([form], candidates=[1, 2, 3], done=[0])
    2
    >>> most_unlike([form], candidates=[1, 3], done=[0, 2])
    3

    Args:
        blocks: Features of all volumes, such as those of their form and of their appearance.
        candidates: Rows of volumes that are not done.
        done: Rows of those that are; without any, the candidate nearest to all others is taken.

    Returns:
        A row; None where there is no candidate or nothing is known of them.
    """
    known = [block for block in blocks if block.shape[1]]
    if not known or not candidates:
        return None
    total = sum(_distances(block) for block in known)
    apart = np.sqrt(np.asarray(total))
    if not len(done):
        return int(candidates[int(apart[list(candidates)].mean(axis=1).argmin())])
    nearest = apart[np.ix_(list(candidates), list(done))].min(axis=1)
    return int(candidates[int(nearest.argmax())])


def _distances(block: Features) -> Float64[np.ndarray, "N N"]:
    """Squared distances, in units of their median."""
    squares = cdist(block, block, "sqeuclidean")
    usual = float(np.median(squares[np.triu_indices(len(block), 1)])) if len(block) > 1 else 0.0
    return squares / (usual or 1.0)


def form_features(shapes_mm: Float64[np.ndarray, "N L 3"]) -> tuple[Features, Features]:
    """Form and orientation of shapes.

    Args:
        shapes_mm: Landmarks; NaN where one is missing.

    Returns:
        Landmarks of shapes of one size after alignment, and their rotation matrices; no features
        where shapes cannot be compared.
    """
    empty = np.zeros((len(shapes_mm), 0))
    try:
        mean, poses = align_shapes(shapes_mm, with_scale=True)
    except ValueError:  # two have no landmark in common
        return empty, empty
    aligned = [
        pose.inverse().place(shape) - mean for pose, shape in zip(poses, shapes_mm, strict=True)
    ]
    form = np.nan_to_num(np.stack(aligned)).reshape(len(shapes_mm), -1)
    return form, np.stack([pose.rotation.ravel() for pose in poses])

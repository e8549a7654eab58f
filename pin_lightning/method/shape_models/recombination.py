"""Shape augmentation: training shapes in the poses of one another, as far as pose is chance."""

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation
from sklearn.covariance import LedoitWolf

ROUNDS = 5  # of alignment; real shapes move less than a micrometre after the third


def recombine(shapes_mm: Float64[np.ndarray, "M L 3"], most: int) -> Float64[np.ndarray, "N L 3"]:
    """The shapes, each in its own pose and then in those of other shapes.

    How somebody lies in a scanner says little about their anatomy, so few shapes make many: each of
    M in the pose of each other. A pose is a shift, a rotation and a size against the mean shape
    (Procrustes). What of the pose can be told from the shape (a bent head also lies differently)
    stays with it; only the rest is exchanged. How much can be told is the conditional mean under
    the covariance of Ledoit and Wolf (J. Multivar. Anal. 2004), as in `shape_completion`.

    Args:
        shapes_mm: Training shapes in one frame, of at least three landmarks.
        most: About how many shapes to give; at least the M themselves.

    Returns:
        M shapes as they are, then M with the poses of the shapes before them, and so on.
    """
    aligned_mm, poses = _align(shapes_mm)
    told = _told_by_shape(aligned_mm, poses)
    count = min(len(shapes_mm), max(1, most // len(shapes_mm)))
    exchanged = [told + np.roll(poses - told, shift, axis=0) for shift in range(count)]
    return np.concatenate([_posed(aligned_mm, one) for one in exchanged])


def _align(
    shapes_mm: Float64[np.ndarray, "M L 3"],
) -> tuple[Float64[np.ndarray, "M L 3"], Float64[np.ndarray, "M 7"]]:
    """Shapes laid on their mean, and the poses that take them back.

    A pose is rotation vector, logarithm of the size, shift. Generalised Procrustes analysis.
    """
    shift_mm = shapes_mm.mean(axis=1)
    centred = shapes_mm - shift_mm[:, None]
    reference = centred.mean(axis=0)
    for _ in range(ROUNDS):
        rotation, size = _similarity(reference, centred)
        aligned = centred @ rotation / size[:, None, None]
        reference = aligned.mean(axis=0)
    turned = Rotation.from_matrix(rotation).as_rotvec()
    return aligned, np.column_stack([turned, np.log(size), shift_mm])


def _similarity(
    reference: Float64[np.ndarray, "L 3"], shapes: Float64[np.ndarray, "M L 3"]
) -> tuple[Float64[np.ndarray, "M 3 3"], Float64[np.ndarray, " M"]]:
    """Rotation and size that take the reference closest to each shape, all centred (Umeyama)."""
    left, stretch, right = np.linalg.svd(shapes.swapaxes(1, 2) @ reference)
    signs = np.ones_like(stretch)
    signs[:, 2] = np.sign(np.linalg.det(left @ right))  # no mirror images
    return (left * signs[:, None]) @ right, (stretch * signs).sum(axis=1) / (reference**2).sum()


def _told_by_shape(
    aligned_mm: Float64[np.ndarray, "M L 3"], poses: Float64[np.ndarray, "M 7"]
) -> Float64[np.ndarray, "M 7"]:
    """Conditional mean of each pose given the aligned shape."""
    deviations = aligned_mm - aligned_mm.mean(axis=0)
    flat = deviations.reshape(len(deviations), -1) / len(deviations[0]) ** 0.5
    # The few directions in which the shapes differ; rotations and sizes as mm at a landmark.
    basis, extents, _ = np.linalg.svd(flat, full_matrices=False)
    shape = (basis * extents)[:, : len(flat) - 1]
    radius_mm = np.sqrt((aligned_mm.mean(axis=0) ** 2).sum(axis=1).mean())
    units = np.array(4 * [radius_mm] + 3 * [1.0])
    mean = poses.mean(axis=0)
    covariance = LedoitWolf().fit(np.hstack([shape, (poses - mean) * units])).covariance_
    known = np.arange(shape.shape[1])
    within, across = covariance[np.ix_(known, known)], covariance[known, len(known) :]
    # Shapes that are all the same leave nothing to regress on, hence the least squares.
    return mean + shape @ np.linalg.lstsq(within, across, rcond=None)[0] / units


def _posed(
    aligned_mm: Float64[np.ndarray, "M L 3"], poses: Float64[np.ndarray, "M 7"]
) -> Float64[np.ndarray, "M L 3"]:
    """Aligned shapes in given poses."""
    rotation = Rotation.from_rotvec(poses[:, :3]).as_matrix()
    size, shift_mm = np.exp(poses[:, 3]), poses[:, 4:]
    return size[:, None, None] * aligned_mm @ rotation.swapaxes(1, 2) + shift_mm[:, None]

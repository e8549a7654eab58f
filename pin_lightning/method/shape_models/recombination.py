"""Shape augmentation: training shapes in the poses of one another."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

ROUNDS = 5  # of alignment; real shapes move less than a micrometre after the third
Shapes: TypeAlias = Float64[np.ndarray, "M L 3"]
Poses: TypeAlias = Float64[np.ndarray, "M 7"]  # rotation vector, logarithm of the size, shift


def recombine(shapes_mm: Shapes, most: int) -> Float64[np.ndarray, "N L 3"]:
    """Augment shapes: each in its own pose, then in the poses of others.

    The pose of a person in the scanner says little about the anatomy, so that M shapes give up to
    M^2. A pose is a shift, a rotation and a size relative to the mean shape (Procrustes). The part
    of a pose that the shape predicts (a bent head also lies differently) stays with the shape; only
    the rest is exchanged. It is predicted by the conditional mean under the covariance of Ledoit
    and Wolf (J. Multivar. Anal. 2004), as in `completion`.

    Args:
        shapes_mm: Training shapes in one frame, of at least three landmarks.
        most: About the number of shapes to return; at least the M themselves.

    Returns:
        M shapes as they are, then M with the poses of the shapes before them, and so on.
    """
    aligned_mm, poses = _align(shapes_mm)
    predicted = _predicted_poses(aligned_mm, poses)
    count = min(len(shapes_mm), max(1, most // len(shapes_mm)))
    rest = poses - predicted
    exchanged = [predicted + np.roll(rest, shift, axis=0) for shift in range(count)]
    return np.concatenate([_posed(aligned_mm, one) for one in exchanged])


def _align(shapes_mm: Shapes) -> tuple[Shapes, Poses]:
    """Align shapes with their mean, and give their poses (generalised Procrustes analysis)."""
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
    reference: Float64[np.ndarray, "L 3"], shapes: Shapes
) -> tuple[Float64[np.ndarray, "M 3 3"], Float64[np.ndarray, " M"]]:
    """Rotation and size that take the reference closest to each shape, all centred (Umeyama)."""
    left, stretch, right = np.linalg.svd(shapes.swapaxes(1, 2) @ reference)
    signs = np.ones_like(stretch)
    signs[:, 2] = np.sign(np.linalg.det(left @ right))  # no mirror images
    return (left * signs[:, None]) @ right, (stretch * signs).sum(axis=1) / (reference**2).sum()


def _predicted_poses(aligned_mm: Shapes, poses: Poses) -> Poses:
    """Conditional mean of each pose given the aligned shape."""
    from sklearn.covariance import LedoitWolf  # heavy, and not needed to predict

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
    # Least squares, as the covariance of shapes that are all the same is singular.
    return mean + shape @ np.linalg.lstsq(within, across, rcond=None)[0] / units


def _posed(aligned_mm: Shapes, poses: Poses) -> Shapes:
    rotation = Rotation.from_rotvec(poses[:, :3]).as_matrix()
    size, shift_mm = np.exp(poses[:, 3]), poses[:, 4:]
    return size[:, None, None] * aligned_mm @ rotation.swapaxes(1, 2) + shift_mm[:, None]

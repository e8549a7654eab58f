"""Landmarks of heads that differ as heads do, in line with each other or in any pose."""

import numpy as np
from scipy.spatial.transform import Rotation

NAMES = ("nose", "chin", "eyeL", "eyeR", "earL", "earR", "jawL", "jawR", "top")
HEAD = np.array(
    [
        *([0, 90, 0], [0, 80, -60], [-30, 70, 20], [30, 70, 20], [-70, 0, 0], [70, 0, 0]),
        *([-45, 20, -50], [45, 20, -50], [0, 0, 90]),
    ],
    float,
)
SIDES = [0, 1, 3, 2, 5, 4, 7, 6, 8]  # the landmark on the other side
CASES = tuple(f"case{number:02d}" for number in range(14))


def heads(count=14, seed=0, shape=HEAD, varying=0.04):
    """Heads of different size, pose and form: a few mm, with 0.4 mm of annotation."""
    rng = np.random.default_rng(seed)
    scales = 1 + rng.normal(0, varying, (count, 1, 3))
    angles = rng.normal(0, 0.03, (count, 3))
    x, y, z = angles.T
    zero = np.zeros(count)
    tilts = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    posed = (shape * scales) @ (np.eye(3) + tilts)
    return posed + rng.normal(0, 3, (count, 1, 3)) + rng.normal(0, 0.4, posed.shape)


def turned(shapes, seed=7):
    """The shapes in any orientation, and up to 50 mm elsewhere."""
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(len(shapes), rng=rng).as_matrix()
    return shapes @ rotations.transpose(0, 2, 1) + rng.uniform(-50, 50, (len(shapes), 1, 3))


POSES = {"in-line": lambda shapes: shapes, "any-pose": turned}

"""Scans of balls of different sizes in any pose: an anatomy that a network learns at once."""

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks

NAMES = tuple("abcdefgh")
# Without any symmetry; about 40 mm long.
CENTRES_MM = np.array(
    [
        [-18, 0, 2],
        [18, 4, -3],
        [-6, 10, 6],
        [5, -11, 5],
        [8, 9, -8],
        [-9, -8, -7],
        [0, 0, 12],
        [12, -4, 9],
    ],
    dtype=float,
)
RADII_MM = np.array([4.0, 2.5, 3.0, 3.5, 2.0, 2.8, 2.2, 3.2])
SIZE, SPACING_MM = (64, 60, 56), 1.0


def ball_scan(seed, degrees=180.0, size=SIZE, noise=4.0, header=True):
    """Image and landmarks (world RAS+ mm) of one scan, each ball a little off its usual place."""
    random = np.random.default_rng(seed)
    turn = Rotation.from_rotvec(np.radians(degrees) * random.uniform(-1, 1, 3) / 3**0.5)
    centres = turn.apply(CENTRES_MM + random.normal(0, 0.5, CENTRES_MM.shape)) + random.uniform(
        -4, 4, 3
    )
    ijk = centres / SPACING_MM + (np.array(size) - 1) / 2
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    voxels = np.full(size, 20.0)
    for centre, radius in zip(ijk, RADII_MM, strict=True):
        apart = np.linalg.norm(grid - centre, axis=-1) * SPACING_MM
        voxels += 200 * np.clip(radius + 0.5 - apart, 0, 1)
    voxels = ndimage.gaussian_filter(voxels, 0.5) + noise * random.normal(size=size)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    if header:
        affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * SPACING_MM
        affine[:3, 3] = random.uniform(-50, 50, 3)
    world = ijk @ affine[:3, :3].T + affine[:3, 3]
    image = nib.Nifti1Image(np.clip(voxels, 0, 255).astype(np.uint8), affine)
    return image, LandmarkSet.of(NAMES, world)


def write_ball_scans(root, number, first=0, **settings):
    """A data set: ``images/NAME.nii.gz`` and ``landmarks/NAME.mrk.json``."""
    for part in ("images", "landmarks"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for index in range(first, first + number):
        image, landmarks = ball_scan(index, **settings)
        nib.save(image, root / "images" / f"ball{index:02}.nii.gz")
        write_landmarks(root / "landmarks" / f"ball{index:02}.mrk.json", landmarks)
    return root

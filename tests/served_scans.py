"""Scans for a server: bright balls at known world positions, in oblique and flipped volumes."""

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.annotation.names import LandmarkNames
from pin_lightning.annotation.session import Session
from pin_lightning.annotation.volumes import Scans

BALL_MM = 2.5
NAMES = ("nose", "chin", "ear")
SIZE, SIDES_MM = (50, 44, 37), (0.9, 1.1, 1.4)


def oblique_affine(seed=3, sides_mm=SIDES_MM, flip=True, shear=0.0):
    """Voxel index to world of a volume whose axes are turned, reordered and flipped."""
    turn = Rotation.random(random_state=seed).as_matrix()
    matrix = turn @ np.diag(sides_mm) @ np.eye(3)[[2, 0, 1]].T
    matrix = matrix[:, [0, 2, 1]] if flip else matrix
    matrix[:, 0] += shear * matrix[:, 1]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, (12.0, -31.0, 7.0)
    return affine


def ball_volume(affine, ijk, size=SIZE, radius_mm=BALL_MM):
    """Voxels with a smooth bright ball about a voxel index, which may lie between voxels."""
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    apart_mm = np.linalg.norm((grid - np.array(ijk)) @ affine[:3, :3].T, axis=-1)
    return (100 + 900 * np.exp(-((apart_mm / radius_mm) ** 2))).astype(np.int16)


def write_ball(path, ijk=(30.3, 14.6, 21.2), affine=None, **settings):
    """A volume with a ball; returns the ball's position in world RAS+ mm."""
    affine = oblique_affine() if affine is None else affine
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(ball_volume(affine, ijk, **settings), affine), path)
    stored = nib.load(path).affine  # as the file has it
    return stored[:3, :3] @ ijk + stored[:3, 3]


def centre_mm(content):
    """Place of the brightest ball in a NIfTI file, by its own affine, and its affine."""
    image = nib.Nifti1Image.from_bytes(content)
    bright = np.asanyarray(image.dataobj).astype(float)
    bright = np.maximum(bright - 150, 0)
    place = ndimage.center_of_mass(bright)
    return image.affine[:3, :3] @ place + image.affine[:3, 3], image


def write_balls(folder, number=3):
    """A few small volumes; returns their folder."""
    for index in range(number):
        affine = oblique_affine(seed=index)
        write_ball(folder / f"ball{index}.nii.gz", (9.5, 11.2, 8.1), affine, size=(24, 22, 20))
    return folder


def session_of(scans, output, names=NAMES):
    """A session of volumes in a folder, without a run."""
    known = LandmarkNames(output)
    if names:
        known.set_by_person(names)
    return Session(Scans.find(str(scans)), output, known, "scans")

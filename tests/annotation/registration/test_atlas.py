from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.annotation.learner import DoneVolume
from pin_lightning.annotation.learning.proposer import RegistrationProposer, atlases_of
from pin_lightning.annotation.registration.orientation import even_rotations
from pin_lightning.common.landmark_set import LandmarkSet

SIDE, SPACING = 56, 1.5


def anatomy(seed=3):
    """Bright balls and rods without any symmetry, at places that are its landmarks."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(SIDE) * SPACING] * 3, indexing="ij"), -1)
    centre = (SIDE - 1) / 2 * SPACING
    places = centre + rng.uniform(-1, 1, (9, 3)) * [24, 16, 11]
    image = np.zeros((SIDE,) * 3)
    for place, size in zip(places, rng.uniform(3, 6, 9), strict=True):
        image += size * np.exp(-0.5 * (np.linalg.norm(grid - place, axis=-1) / size) ** 2)
    for first, second in pairwise(places):
        for share in np.linspace(0, 1, 25):
            apart = np.linalg.norm(grid - first - share * (second - first), axis=-1)
            image += 0.4 * np.exp(-0.5 * (apart / 2) ** 2)
    return 100 * image + rng.normal(0, 5, image.shape), places


def back(points):
    """Where a point of the target lies in the atlas: turned far round, and bent."""
    centre = (SIDE - 1) / 2 * SPACING
    turned = (points - centre - [4, -3, 2]) @ TURN.as_matrix() + centre
    return turned + 1.5 * np.sin(turned[..., [1, 2, 0]] / 12)


TURN = Rotation.from_rotvec(np.radians([70, -95, 60]))


def forth(places):
    """The inverse of `back`, by fixed-point iteration."""
    points = np.array(places)
    centre = (SIDE - 1) / 2 * SPACING
    for _ in range(50):
        bent = back(points) - ((points - centre - [4, -3, 2]) @ TURN.as_matrix() + centre)
        points = (places - bent - centre) @ TURN.as_matrix().T + centre + [4, -3, 2]
    np.testing.assert_allclose(back(points), places, atol=1e-6)
    return points


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """An atlas, and the same anatomy turned and deformed, with an oblique, flipped header."""
    folder = tmp_path_factory.mktemp("scans")
    image, places = anatomy()
    affine = np.diag([SPACING] * 3 + [1])
    grid = np.stack(np.meshgrid(*[np.arange(SIDE) * SPACING] * 3, indexing="ij"), -1)
    moved = ndimage.map_coordinates(image, np.moveaxis(back(grid) / SPACING, -1, 0), order=1)
    tilt = np.eye(4)
    tilt[:3, :3] = Rotation.from_rotvec([0.2, -0.3, 0.1]).as_matrix()
    tilt[:3, 3] = [31, -7, 12]
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = SIDE - 1
    other = tilt @ affine @ flip
    nib.save(nib.Nifti1Image(image.astype(np.float32), affine), folder / "atlas.nii.gz")
    nib.save(nib.Nifti1Image(moved[::-1].astype(np.float32), other), folder / "target.nii.gz")
    true = nib.affines.apply_affine(tilt, forth(places))
    return folder, places, true


def done(path, positions, key="a"):
    names = [f"p{place}" for place in range(len(positions))]
    return DoneVolume(key, key, path, LandmarkSet.of(names, positions), is_corrected=True)


@pytest.mark.slow
def test_landmarks_are_carried_over_to_a_turned_and_deformed_scan(scans):
    folder, places, true = scans
    some = places.copy()
    some[4] = np.nan
    proposer = RegistrationProposer()
    try:
        found = proposer.propose(folder / "target.nii.gz", [done(folder / "atlas.nii.gz", some)])
        assert found is not None
        assert set(found) == {f"p{place}" for place in range(9)} - {"p4"}
        errors = [np.linalg.norm(np.array(found[f"p{i}"]) - true[i]) for i in range(9) if i != 4]
        assert np.mean(errors) < 0.5 * SPACING
        assert (
            proposer.propose(folder / "none.nii.gz", [done(folder / "atlas.nii.gz", some)]) is None
        )
        first = proposer._process
        assert first.poll() is None
        first.kill()
        first.wait()
        assert (
            proposer.propose(folder / "none.nii.gz", [done(folder / "atlas.nii.gz", some)]) is None
        )
        assert proposer._process is not first
    finally:
        proposer.close()
    assert proposer.propose(folder / "target.nii.gz", [done(folder / "atlas.nii.gz", some)]) is None


def test_atlases_are_those_with_the_most_landmarks(tmp_path):
    whole, none = np.zeros((3, 3)), np.full((3, 3), np.nan)
    some = np.vstack([whole[:2], none[:1]])
    volumes = [
        done(tmp_path, one, key)
        for key, one in zip("abcde", [some, none, whole, whole, whole], strict=True)
    ]
    assert [one.name for one in atlases_of(volumes)] == ["c", "d", "e"]
    assert [one.name for one in atlases_of(volumes[:2])] == ["a"]


def test_rotations_leave_no_orientation_far_off():
    rotations = Rotation.from_matrix(even_rotations(576))
    drawn = Rotation.random(200, random_state=np.random.default_rng(0))
    nearest = [np.degrees((rotations.inv() * one).magnitude().min()) for one in drawn]
    assert max(nearest) < 30

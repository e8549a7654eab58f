import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from pin_lightning.method.shape_models.recombination import _similarity, recombine


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def posed(shapes, rng):
    """Shapes turned, scaled and moved at random, and the poses."""
    count = len(shapes)
    rotation = Rotation.from_rotvec(0.2 * rng.normal(size=(count, 3)))
    size, shift = np.exp(0.1 * rng.normal(size=count)), 5 * rng.normal(size=(count, 1, 3))
    turned = np.einsum("mij,mlj->mli", rotation.as_matrix(), shapes)
    return size[:, None, None] * turned + shift


def as_one(shape, other):
    """True if two shapes differ only in their pose, by SciPy's Procrustes analysis."""
    return procrustes(shape, other)[2] < 1e-9


def test_rotations_are_those_of_scipy_and_never_mirror(rng):
    base = rng.normal(size=(6, 3))
    base -= base.mean(axis=0)
    shapes = np.stack([base * [-1, 1, 1], base + 0.1 * rng.normal(size=(6, 3))])
    rotations, sizes = _similarity(base, shapes)
    for shape, rotation, size in zip(shapes, rotations, sizes, strict=True):
        expected = Rotation.align_vectors(shape, base)[0].as_matrix()
        np.testing.assert_allclose(rotation, expected, atol=1e-9)
        by_regression = (shape * (base @ expected.T)).sum() / (base**2).sum()
        assert size == pytest.approx(by_regression)


def test_every_shape_comes_in_its_pose_and_in_every_other(rng):
    shapes = posed(20 * rng.normal(size=(1, 6, 3)) + rng.normal(size=(5, 6, 3)), rng)
    many = recombine(shapes, 1000)
    assert many.shape == (25, 6, 3)
    np.testing.assert_allclose(many[:5], shapes, atol=1e-9)
    for index, shape in enumerate(many):
        assert as_one(shape, shapes[index % 5])
        assert not as_one(shape, shapes[(index + 1) % 5])


@pytest.mark.parametrize(("most", "count"), [(0, 5), (9, 5), (10, 10), (24, 20), (10**6, 25)])
def test_as_many_as_asked_for(rng, most, count):
    shapes = posed(20 * rng.normal(size=(1, 4, 3)) + rng.normal(size=(5, 4, 3)), rng)
    assert len(recombine(shapes, most)) == count


def test_poses_of_chance_are_exchanged_whole_and_others_stay(rng):
    """Forty shapes with one mode of variation, which tells the height or does not."""
    base, mode = 20 * rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    mode -= mode.mean(axis=0)
    amount = 3 * rng.normal(size=40)
    shapes = base + amount[:, None, None] * mode
    height = 10 * rng.normal(size=40)
    for told, lift in ((False, height), (True, 2 * amount)):
        moved = shapes + lift[:, None, None] * [0, 0, 1]
        lifts = recombine(moved, 1600).mean(axis=1)[:, 2] - base[:, 2].mean()
        expected = np.tile(lift, 40)  # where the pose stays with the shape
        kept = np.corrcoef(lifts, expected)[0, 1]
        assert kept > 0.99 if told else kept < 0.3
        assert lifts.std() == pytest.approx(lift.std(), rel=0.15)


def test_shapes_of_one_object_exchange_their_whole_poses(rng):
    shapes = posed((20 * rng.normal(size=(1, 5, 3))).repeat(6, axis=0), rng)
    expected = np.concatenate([np.roll(shapes, shift, axis=0) for shift in range(6)])
    np.testing.assert_allclose(recombine(shapes, 100), expected, atol=1e-5)


def test_landmarks_on_a_line_have_a_pose(rng):
    line = np.linspace(-20, 20, 3)[:, None] * [1.0, 0, 0] + rng.normal(size=(6, 1, 3))
    many = recombine(line, 100)
    np.testing.assert_allclose(many[:6], line, atol=1e-9)
    assert np.isfinite(many).all()

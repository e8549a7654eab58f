import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from pin_lightning.data.checks.shape_gaussian import ShapeGaussian, suspects

RNG = np.random.default_rng(0)
MODES = RNG.normal(0, 1, (4, 8, 3))
MEAN = RNG.normal(0, 30, (8, 3))


def shapes(count, seed=1, noise_mm=0.2):
    """Smooth shapes of 4 modes, without their translations."""
    rng = np.random.default_rng(seed)
    made = MEAN + np.tensordot(rng.normal(0, 3, (count, 4)), MODES, 1)
    made += rng.normal(0, noise_mm, made.shape)
    return made - made.mean(axis=1, keepdims=True)


def regression(model, shape, target, given):
    """Conditional mean from the textbook: mean + S_tg inv(S_gg) (x_g - mean_g)."""
    rows = [3 * target + axis for axis in range(3)]
    columns = [3 * index + axis for index in given for axis in range(3)]
    cross, own = model.covariance[np.ix_(rows, columns)], model.covariance[np.ix_(columns, columns)]
    offset = (shape - model.mean_mm)[given].ravel()
    return model.mean_mm[target] + cross @ np.linalg.solve(own, offset)


@pytest.mark.parametrize("missing", [[], [2], [0, 5, 6]], ids=["none", "one", "three"])
def test_residuals_and_predictions_are_those_of_a_regression(missing):
    model, shape = ShapeGaussian.fit(shapes(30)), shapes(1, seed=2)[0]
    shape[missing] = np.nan
    residuals = model.residuals(shape)
    assert np.isnan(residuals[missing]).all()
    there = [index for index in range(8) if index not in missing]
    for target in there:
        given = [index for index in there if index != target]
        expected = regression(model, shape, target, given)
        np.testing.assert_allclose(residuals[target], shape[target] - expected, atol=1e-5)
        predicted = model.predict(shape, np.isin(np.arange(8), given))
        np.testing.assert_allclose(predicted[target], expected, atol=1e-5)


def test_the_covariance_is_that_of_scikit_learn_but_for_translations():
    made = shapes(30)
    model, known = ShapeGaussian.fit(made), LedoitWolf().fit(made.reshape(30, -1))
    np.testing.assert_allclose(model.mean_mm.ravel(), known.location_)
    still = np.kron(np.eye(8) - 1 / 8, np.eye(3))  # takes the mean over landmarks out
    expected = still @ known.covariance_ @ still
    np.testing.assert_allclose(still @ model.covariance @ still, expected, atol=1e-3)


def test_where_the_head_lies_does_not_matter():
    model, shape = ShapeGaussian.fit(shapes(30)), shapes(1, seed=2)[0]
    moved = model.residuals(shape + np.array([300, -200, 100]))
    np.testing.assert_allclose(moved, model.residuals(shape), atol=0.1)
    assert np.abs(moved).max() < 2


def test_shapes_that_are_all_alike_can_be_fitted():
    model = ShapeGaussian.fit(np.repeat(shapes(1), 5, axis=0))
    shape = shapes(1)[0]
    shape[3] += [0, 0, 4]
    np.testing.assert_allclose(model.residuals(shape)[3], [0, 0, 4], atol=1e-3)


LIMITS = np.full(8, 2.0)


@pytest.mark.parametrize("size_mm", [4.0, 40.0])
def test_one_landmark_out_of_place_makes_no_other_suspect(size_mm):
    model, shape = ShapeGaussian.fit(shapes(40)), shapes(1, seed=2)[0]
    shape[5] += [size_mm, 0, 0]
    off = suspects(model, shape, LIMITS, most=5)
    assert list(off.distances_mm) == [5]
    assert off.distances_mm[5] == pytest.approx(size_mm, abs=1.5)
    assert off.exchanged == ()


def test_suspects_come_worst_first_and_exchanges_are_told():
    model, shape = ShapeGaussian.fit(shapes(40)), shapes(1, seed=2)[0]
    assert suspects(model, shape, LIMITS, most=5).distances_mm == {}
    shape[[1, 4]] = shape[[4, 1]]
    shape[6] += [0, 7, 0]
    off = suspects(model, shape, LIMITS, most=5)
    assert sorted(off.distances_mm) == [1, 4, 6]
    assert list(off.distances_mm.values()) == sorted(off.distances_mm.values(), reverse=True)
    assert off.exchanged == ((1, 4),)


def test_no_more_landmarks_than_asked_for_and_two_are_kept():
    model, shape = ShapeGaussian.fit(shapes(40)), shapes(1, seed=2)[0] * [1, 1, -1]
    assert len(suspects(model, shape, LIMITS, most=2).distances_mm) <= 2
    assert len(suspects(model, shape, LIMITS, most=99).distances_mm) <= 6
    shape[1:] = np.nan
    assert suspects(model, shape, LIMITS, most=99).distances_mm == {}

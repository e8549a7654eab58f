import numpy as np
import pytest

from pin_lightning.method.shape_models.completion import complete_shapes


def shapes(count=40, landmarks=12, modes=3, noise=0.05, seed=0):
    """Shapes of a few modes, each somewhere else in space."""
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(modes, landmarks * 3))
    flat = rng.normal(size=(count, modes)) @ basis + noise * rng.normal(size=(count, landmarks * 3))
    mean = 20 * rng.normal(size=(landmarks, 3))
    return flat.reshape(count, landmarks, 3) + mean + 5 * rng.normal(size=(count, 1, 3))


def hide(complete, share, seed=1):
    hidden = np.random.default_rng(seed).random(complete.shape[:2]) < share
    hidden &= ~hidden.all(axis=0)
    shown = complete.copy()
    shown[hidden] = np.nan
    return shown, hidden


def test_what_is_there_stays_and_nothing_is_missing_afterwards():
    complete = shapes()
    shown, hidden = hide(complete, 0.2)
    before = shown.copy()
    filled = complete_shapes(shown)
    np.testing.assert_array_equal(filled[~hidden], complete[~hidden])
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(shown, before)  # the argument is not edited


def test_it_is_close_to_the_conditional_mean_of_the_true_gaussian():
    """Reference: the exact conditional mean under the covariance that made the shapes."""
    rng = np.random.default_rng(3)
    basis = rng.normal(size=(2, 30))
    anywhere = np.kron(np.ones((10, 10)), np.eye(3))  # a translation of unknown size
    covariance = basis.T @ basis + 0.01 * np.eye(30) + 1e3 * anywhere
    complete = rng.multivariate_normal(np.zeros(30), covariance, size=600).reshape(-1, 10, 3)
    shown = complete.copy()
    shown[:20, 9] = np.nan
    known, lost = slice(0, 27), slice(27, 30)
    weights = np.linalg.solve(covariance[known, known], covariance[known, lost])
    expected = complete[:20].reshape(20, 30)[:, known] @ weights
    apart = np.linalg.norm(complete_shapes(shown)[:20, 9] - expected, axis=1)
    assert np.sqrt((apart**2).mean()) < 0.1 * np.sqrt((basis[:, lost] ** 2).sum())


@pytest.mark.parametrize(("size", "share", "most"), [((40, 12), 0.2, 0.1), ((6, 30), 0.1, 0.7)])
def test_it_is_far_better_than_the_mean_shape(size, share, most):
    complete = shapes(*size)
    shown, hidden = hide(complete, share)
    error = np.linalg.norm(complete_shapes(shown) - complete, axis=2)[hidden].mean()
    mean = np.linalg.norm(np.nanmean(shown, axis=0) - complete, axis=2)[hidden].mean()
    assert error < most * mean


def test_complete_shapes_a_single_one_and_shapes_that_are_all_the_same():
    np.testing.assert_array_equal(complete_shapes(shapes()), shapes())
    complete = shapes(count=1)
    np.testing.assert_array_equal(complete_shapes(complete), complete)
    same = np.repeat(complete, 4, axis=0)
    shown = same.copy()
    shown[1, 2] = np.nan
    np.testing.assert_allclose(complete_shapes(shown), same, atol=0.01)


def test_refuses_what_cannot_be_filled():
    nowhere = shapes(count=3)
    nowhere[:, 4] = np.nan
    with pytest.raises(ValueError, match=r"landmarks number \[4\] are missing from every shape"):
        complete_shapes(nowhere)
    empty = shapes(count=3)
    empty[1] = np.nan
    with pytest.raises(ValueError, match=r"shapes number \[1\] have no landmark"):
        complete_shapes(empty)

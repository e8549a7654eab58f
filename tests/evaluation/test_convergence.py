import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pin_lightning.evaluation import convergence
from pin_lightning.evaluation.convergence import Convergence, join_convergence, movements_mm

NAN = float("nan")
COLUMNS = "split,case,iteration,radial_error_mm,movement_mm,spread_mm"


@pytest.fixture
def path():
    """Two starts, two landmarks; the first landmark of the starts is 5 mm left and right of 0."""
    before = [[[-5.0, 0, 0], [0, 0, 4]], [[5.0, 0, 0], [0, 0, 4]]]
    after = [[[-1.0, 3, 0], [0, 0, 4]], [[1.0, 3, 0], [0, 0, 4]]]
    return np.array([before, after])


@pytest.fixture
def random_path():
    return np.random.default_rng(0).normal(0, 9, (5, 4, 6, 3))


def test_errors_movement_and_spread_by_hand(path):
    truth = np.zeros((2, 3))
    errors = convergence.start_errors_mm(path, truth)
    np.testing.assert_allclose(errors, [[4.5, 4.5], [(10**0.5 + 4) / 2] * 2])
    np.testing.assert_allclose(movements_mm(path), [[NAN, NAN], [2.5, 2.5]])
    np.testing.assert_allclose(convergence.spreads_mm(path), [2.5, 0.5])
    one = Convergence.of(path, truth)
    np.testing.assert_allclose(one.error_mm, [2.0, 3.5])  # of the mean (0, 0, 0), then (0, 3, 0)
    np.testing.assert_allclose(one.movement_mm, [NAN, 2.5])
    np.testing.assert_allclose(one.spread_mm, [2.5, 0.5])


def test_landmarks_without_a_true_position_count_for_no_error(path):
    found = convergence.start_errors_mm(path, np.array([[0.0, 0, 0], [NAN, NAN, NAN]]))
    np.testing.assert_allclose(found, [[5, 5], [10**0.5] * 2])
    one = Convergence.of(path, np.full((2, 3), NAN))
    assert np.isnan(one.error_mm).all()
    np.testing.assert_allclose(one.spread_mm, [2.5, 0.5])


def test_errors_and_spread_are_those_of_scipy_and_numpy(random_path):
    truth = np.random.default_rng(1).normal(0, 9, (6, 3))
    errors = [[np.diag(cdist(one, truth)).mean() for one in step] for step in random_path]
    np.testing.assert_allclose(convergence.start_errors_mm(random_path, truth), errors)
    # The mean square distance from the mean is the sum of the variances.
    spread = np.sqrt(random_path.var(axis=1).sum(axis=-1)).mean(axis=-1)
    np.testing.assert_allclose(convergence.spreads_mm(random_path), spread)


def test_paths_in_single_precision_lose_nothing_more(random_path):
    single = random_path.astype(np.float32)
    np.testing.assert_array_equal(movements_mm(single), movements_mm(single.astype(np.float64)))


def test_a_case_that_ended_earlier_stays_where_it_ended(path):
    truth = np.zeros((2, 3))
    longer = Convergence.of(np.concatenate([path, path[-1:] + 1, path[-1:]]), truth)
    joined = join_convergence([Convergence.of(path, truth), longer])
    np.testing.assert_allclose(joined.error_mm[0], [2, 3.5, 3.5, 3.5])
    np.testing.assert_allclose(joined.movement_mm[0], [NAN, 2.5, 0, 0])
    np.testing.assert_allclose(joined.spread_mm[0], [2.5, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(joined.error_mm[1], longer.error_mm)
    with pytest.raises(ValueError, match="at least one"):
        join_convergence([])


@pytest.mark.parametrize(("iterations", "most"), [(350, 30), (29, 30), (30, 30), (0, 30), (1, 2)])
def test_iterations_are_evenly_spaced_with_first_and_last(iterations, most):
    chosen = convergence.evenly_spaced(iterations, most)
    assert (chosen[0], chosen[-1]) == (0, iterations)
    assert len(chosen) == min(most, iterations + 1) == len(set(chosen))
    gaps = np.diff(chosen)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "run" / "convergence.csv"
    one = Convergence(np.array([2.0, 1.5]), np.array([NAN, 0.25]), np.array([3.0, 0.12345]))
    other = Convergence(np.array([NAN]), np.array([NAN]), np.array([0.0]))
    convergence.write_convergence(path, {"val": {"a, b": other}, "test": {"a, b": one, "c": one}})
    assert path.read_text("utf-8").splitlines()[:4] == [
        COLUMNS,
        'val,"a, b",0,,,0.0000',
        'test,"a, b",0,2.0000,,3.0000',
        'test,"a, b",1,1.5000,0.2500,0.1235',
    ]
    again = convergence.read_convergence(path)
    assert [list(cases) for cases in again.values()] == [["a, b"], ["a, b", "c"]]
    for name in ("error_mm", "movement_mm", "spread_mm"):
        found = getattr(again["test"]["c"], name)
        np.testing.assert_allclose(found, getattr(one, name), atol=1e-4)
    assert [entry.name for entry in path.parent.iterdir()] == ["convergence.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("split,case\n", "lacks the column iteration"),
        (f"{COLUMNS}\nval,a,0,x,1,1\n", "'x'"),
        (f"{COLUMNS}\nval,a,0\n", "or delete that row"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, words):
    path = tmp_path / "convergence.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as refused:
        convergence.read_convergence(path)
    assert str(path) in str(refused.value)

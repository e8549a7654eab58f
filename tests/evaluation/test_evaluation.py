import numpy as np
import pytest

from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.summary import metrics_of


@pytest.fixture
def small():
    return small_evaluation()


def small_evaluation():
    """Two cases, two landmarks, one undefined: errors 3, 5 and 4 mm; mean shape 1, 10 and 2 mm."""
    truth = np.array([[[0.0, 0, 0], [10, 0, 0]], [[0, 0, 0], [np.nan] * 3]])
    predicted = np.array([[[3.0, 0, 0], [10, 3, 4]], [[0, 0, -4], [7, 7, 7]]])
    mean_shape = np.array([[[0.0, 1, 0], [0, 0, 0]], [[2, 0, 0], [1, 1, 1]]])
    return Evaluation(
        cases=("a", "b"),
        names=("tip", "base"),
        truth_world=truth,
        defined=np.isfinite(truth).all(axis=-1),
        predicted_world=predicted,
        mean_shape_world=mean_shape,
        spread_mm=np.array([[0.1, 0.2], [0.3, 0.4]]),
        seconds=np.array([0.5, 1.5]),
        localise_seconds=np.array([0.25, 0.5]),
    )


def random_evaluation(seed, num_cases=7, num_landmarks=5):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 50, (num_cases, num_landmarks, 3))
    defined = rng.random((num_cases, num_landmarks)) < 0.8
    return Evaluation(
        cases=tuple(f"case, {index}" for index in range(num_cases)),
        names=tuple(f'mark "{index}"' for index in range(num_landmarks)),
        truth_world=np.where(defined[..., None], truth, np.nan),
        defined=defined,
        predicted_world=truth + rng.normal(0, 3, truth.shape),
        mean_shape_world=rng.normal(0, 50, truth.shape),
        spread_mm=rng.random(defined.shape),
        seconds=rng.random(num_cases),
        localise_seconds=rng.random(num_cases),
    )


def test_metrics_by_hand(small):
    rates = {f"within_{radius}_mm": 0.0 for radius in (0.5, 1, 2, 4)} | {"within_8_mm": 1.0}
    tip = {"n": 2, "mean": 3.5, "sd": pytest.approx(0.5**0.5), "median": 3.5}
    tip |= {"p95": pytest.approx(3.95), "mean_shape_mean": 1.5}
    base = {"n": 1, "mean": 5.0, "sd": 0.0, "median": 5.0, "p95": 5.0, "mean_shape_mean": 10.0}
    mean_shape = {"mean": 13 / 3, "sd": (73 / 3) ** 0.5, "median": 2.0, "p95": 9.2}
    assert metrics_of(small) == {
        "num_cases": 2,
        "radial_error_mm": {"mean": 4.0, "sd": 1.0, "median": 4.0, "p95": pytest.approx(4.9)},
        "mean_shape_radial_error_mm": pytest.approx(mean_shape),
        "success_rate": {**rates, "within_4_mm": pytest.approx(2 / 3)},
        "per_landmark": {
            "tip": {**tip, "success_rate": {**rates, "within_4_mm": 1.0}},
            "base": {**base, "success_rate": rates},
        },
        "per_case": {"a": 4.0, "b": 4.0},
        "seconds_per_volume": 1.0,
        "localise_seconds_per_volume": 0.375,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cases": ("a", "a")}, "each only once"),
        ({"cases": (), "seconds": np.zeros(0)}, "at least one"),
        ({"names": ("tip", "tip")}, "each only once"),
        ({"predicted_world": np.full((2, 2, 3), np.nan)}, "tip of a is not finite"),
        ({"defined": np.ones((2, 2), dtype=bool)}, "base of b is not finite"),
    ],
)
def test_bad_evaluation_is_refused(small, change, message):
    bad = {name: getattr(small, name) for name in small.__dataclass_fields__} | change
    if change.get("cases") == ():
        bad |= {name: value[:0] for name, value in bad.items() if isinstance(value, np.ndarray)}
    with pytest.raises(ValueError, match=message):
        Evaluation(**bad)


def test_wrong_shape_or_precision_is_refused(small):
    # object.__new__: the annotation checks of the constructor would speak first.
    for name, value, message in [
        ("seconds", np.zeros(3), r"seconds: is float64 \(3,\), give float64 \(2,\)"),
        ("spread_mm", np.zeros((2, 2), np.float32), r"spread_mm: is float32"),
        ("defined", np.zeros((2, 2)), r"defined: is float64 \(2, 2\), give bool"),
    ]:
        bad = object.__new__(Evaluation)
        bad.__dict__.update(vars(small) | {name: value})
        with pytest.raises(ValueError, match=message):
            bad.__post_init__()

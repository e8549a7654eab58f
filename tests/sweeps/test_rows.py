from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from test_evaluation import random_evaluation

from pin_lightning.evaluation import Evaluation
from pin_lightning.prediction_files import write_predictions
from pin_lightning.sweeps.rows import Job, labels_of, paired, read_jobs, rows_of


def evaluation_of(errors, names, cases=None, seconds=1.0):
    """Predictions that are off by given errors [N, L] along x; NaN is an undefined landmark."""
    errors = np.array(errors, dtype=float)
    truth = np.zeros((*errors.shape, 3))
    predicted = truth.copy()
    predicted[..., 0] = np.nan_to_num(errors)
    return Evaluation(
        cases=tuple(cases or (f"c{index}" for index in range(len(errors)))),
        names=tuple(names),
        truth_world=truth,
        defined=np.isfinite(errors),
        predicted_world=predicted,
        mean_shape_world=truth,
        spread_mm=np.zeros(errors.shape),
        seconds=np.full(len(errors), 9.0),
        localise_seconds=np.full(len(errors), seconds),
    )


def job(evaluation, method=None, overrides=()):
    return Job(Path("sweep/0"), method, tuple(overrides), evaluation)


def test_networks_for_one_landmark_each_make_one_row():
    jobs = [
        job(evaluation_of([[1], [2]], ["a"], seconds=0.1), "single"),
        job(evaluation_of([[3], [np.nan]], ["b"], seconds=0.2), "single"),
        job(evaluation_of([[5, 6], [7, 8]], ["b", "a"], seconds=0.4), "multi"),
    ]
    single, multi = rows_of(jobs)
    assert (single.method, multi.method) == ("single", "multi")
    assert single.names == ("a", "b")
    np.testing.assert_array_equal(single.errors_mm, [[1, 3], [2, np.nan]])
    assert single.seconds == pytest.approx(0.3)  # one after the other
    assert multi.seconds == pytest.approx(0.4)
    # a of the first case 1 - 6, b of it 3 - 5, a of the second 2 - 8.
    np.testing.assert_array_equal(paired(single, multi), [[-5, -2], [-6, np.nan]])
    np.testing.assert_array_equal(paired(single, multi, ["b"]), [[-2], [np.nan]])


def test_folds_hold_other_cases_and_seeds_are_averaged():
    folds = [
        job(evaluation_of([[1.0]], ["a"], ["x"], 0.2), "m"),
        job(evaluation_of([[2.0]], ["a"], ["y"], 0.4), "m"),
    ]
    (row,) = rows_of(folds)
    assert row.cases == ("x", "y")
    assert row.seconds == pytest.approx(0.3)  # a volume is localised by one of them
    seeds = [job(evaluation_of([[error]], ["a"], ["x"], 0.2), "m") for error in (1.0, 4.0)]
    (row,) = rows_of(seeds)
    np.testing.assert_array_equal(row.errors_mm, [[2.5]])
    assert row.seconds == pytest.approx(0.2)


def test_without_a_method_the_row_is_named_by_what_only_the_job_has():
    one = evaluation_of([[1.0]], ["a"])
    own = (["model.alpha=0"], ["model.alpha=1", "seed=2"], [])
    jobs = [job(one, None, ["data=phantom", *settings]) for settings in own]
    assert labels_of(jobs) == ["model.alpha=0", "model.alpha=1, seed=2", "0"]
    assert labels_of([job(one, "PIN1", ["data=phantom"])]) == ["PIN1"]


def test_jobs_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        folder = tmp_path / str(number)
        write_predictions(folder / "predictions.csv", {"val": random_evaluation(number)})
        OmegaConf.save({"method": f"m{number}", "overrides": ["seed=1"]}, folder / "config.yaml")
    (tmp_path / "11").mkdir()
    (tmp_path / "logs").mkdir()
    jobs, unfinished = read_jobs(tmp_path)
    assert [one.method for one in jobs] == ["m2", "m9", "m10"]
    assert jobs[0].overrides == ("seed=1",)
    assert [path.name for path in unfinished] == ["11"]


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no job has finished"):
        read_jobs(tmp_path)
    with pytest.raises(ValueError, match="there is no such folder"):
        read_jobs(tmp_path / "absent")

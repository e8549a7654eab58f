import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation
from omegaconf import OmegaConf

from pin_lightning.cli.failures import Failure, write_failure
from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.studies.sweeps.rows import Job, labels_of, paired, read_jobs, rows_of


def evaluation_of(errors, names, cases=None, seconds=1.0):
    """Predictions that are off by given errors [N, L] along x; NaN is an undefined landmark."""
    errors = np.array(errors, dtype=float)
    predicted = np.nan_to_num(errors)[..., None] * [1.0, 0, 0]
    return replace(
        random_evaluation(0, *errors.shape),
        cases=tuple(cases or (f"c{index}" for index in range(len(errors)))),
        names=tuple(names),
        truth_world=0 * predicted,
        defined=np.isfinite(errors),
        predicted_world=predicted,
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
    own = (["model.alpha=0"], ["model.alpha=1", "shape=pca"], [])
    jobs = [job(one, None, ["data=phantom", *settings]) for settings in own]
    assert labels_of(jobs) == ["model.alpha=0", "model.alpha=1, shape=pca", "0"]
    assert labels_of([job(one, "PIN1", ["data=phantom"])]) == ["PIN1"]
    # The only one that finished: what it has of its own shows beside the others.
    failed = [Failure(1, ("data=phantom", "model.alpha=7"), "alpha"), Failure(2, (), "unknown")]
    assert labels_of(jobs[:1], failed) == ["model.alpha=0"]


def test_seeds_of_one_setting_share_a_row():
    one = evaluation_of([[1.0], [2.0]], ["a"])
    other = evaluation_of([[3.0], [6.0]], ["a"])
    sweep = [(0, 0, one), (0, 1, other), (1, 0, one), (1, 1, one)]
    jobs = [job(errors, None, [f"model.alpha={a}", f"seed={s}"]) for a, s, errors in sweep]
    rows = rows_of(jobs)
    assert [row.method for row in rows] == ["model.alpha=0", "model.alpha=1"]
    np.testing.assert_array_equal(rows[0].errors_mm, [[2.0], [4.0]])
    assert rows[0].job_means_mm == (1.5, 4.5)
    # Seeds alone are what the sweep is about.
    alone = [job(one, None, ["data=phantom", f"seed={seed}"]) for seed in (0, 1)]
    assert labels_of(alone) == ["seed=0", "seed=1"]


def test_jobs_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        folder = tmp_path / str(number)
        write_predictions(folder / "predictions.csv", {"val": random_evaluation(number)})
        OmegaConf.save({"method": f"m{number}", "overrides": ["seed=1"]}, folder / "config.yaml")
    (tmp_path / "11").mkdir()
    (tmp_path / "logs").mkdir()
    write_failure(tmp_path / "3", ["seed=2"], "no\nmemory")
    jobs, failures = read_jobs(tmp_path)
    assert [one.method for one in jobs] == ["m2", "m9", "m10"]
    assert jobs[0].overrides == ("seed=1",)
    assert failures[0] == Failure(3, ("seed=2",), "no memory")
    assert [failure.number for failure in failures] == [3, 11]
    assert "is not finished; look at" in failures[1].mistake


def test_a_job_that_left_nothing_does_not_take_the_results_of_an_earlier_sweep(tmp_path):
    folder = tmp_path / "0"
    write_predictions(folder / "predictions.csv", {"test": random_evaluation(0)})
    OmegaConf.save({"method": None, "overrides": []}, folder / "config.yaml")
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    (tmp_path / "multirun.yaml").touch()
    assert read_jobs(tmp_path) == ([], [])  # of the earlier sweep
    (folder / "train.log").touch()  # this one began, and was killed
    jobs, failures = read_jobs(tmp_path)
    assert jobs == []
    assert [failure.number for failure in failures] == [0]


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no such folder"):
        read_jobs(tmp_path / "absent")

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation, small_evaluation
from scipy import stats

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.metrics import within
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.evaluation.summary import intervals_of, numbers_of


def test_every_landmark_has_scipys_interval_of_its_mean():
    evaluation = random_evaluation(0, num_cases=12)
    found = intervals_of(evaluation, BootstrapSettings(resamples=500), [1, 2])["per_landmark"]
    assert list(found) == list(evaluation.names)
    for name, errors in zip(evaluation.names, evaluation.errors_mm.T, strict=True):
        known = errors[np.isfinite(errors)]
        settings = {"method": "BCa", "n_resamples": 500, "random_state": np.random.default_rng(0)}
        theirs = stats.bootstrap((known,), np.mean, **settings).confidence_interval
        assert found[name]["mean"] == pytest.approx(list(theirs), rel=1e-9)


def test_success_rates_have_the_interval_of_their_indicator():
    evaluation = random_evaluation(1, num_cases=12)
    bootstrap = BootstrapSettings(resamples=300)
    found = intervals_of(evaluation, bootstrap, [4.0])["success_rate"]["within_4_mm"]
    known = within(evaluation.errors_mm, 4.0)
    slow = bootstrap.interval(known, lambda ones: float(ones.mean()))
    assert found == pytest.approx(slow, rel=1e-12)
    assert 0 < found[0] < found[1] < 1


def test_a_landmark_that_one_case_has_is_without_interval_and_all_fits_json():
    numbers = numbers_of(small_evaluation(), ReportSettings())
    assert numbers["intervals"]["per_landmark"]["base"] == {"mean": None}
    assert numbers["intervals"]["per_landmark"]["tip"]["mean"] == [3.0, 4.0]
    nothing = replace(small_evaluation(), defined=np.zeros((2, 2), dtype=bool))
    numbers = numbers_of(nothing, ReportSettings())
    assert numbers["radial_error_mm"] == {"mean": None, "sd": None, "median": None, "p95": None}
    assert numbers["per_case"] == {"a": None, "b": None}
    assert numbers["per_landmark"]["tip"]["n"] == 0
    assert set(numbers["success_rate"].values()) == {None}
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers

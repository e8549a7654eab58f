import pickle

import numpy as np
import pytest
import torch
from evaluation.test_metrics import random_batch
from torchmetrics import MetricCollection

from pin_lightning.evaluation.metrics import (
    error_quantile,
    error_sd,
    mean_error,
    radial_errors,
    success_rate,
)
from pin_lightning.evaluation.torchmetrics import (
    MeanRadialError,
    RadialErrorQuantile,
    RadialErrorSD,
    SuccessRate,
)

# Each class, and the function that it stands beside.
PAIRS = [
    (MeanRadialError, mean_error),
    (RadialErrorSD, error_sd),
    (RadialErrorQuantile, lambda errors, per: error_quantile(errors, 0.5, per)),
    (
        lambda per, **settings: RadialErrorQuantile(0.95, per, **settings),
        lambda errors, per: error_quantile(errors, 0.95, per),
    ),
    (
        lambda per, **settings: SuccessRate(15.0, per, **settings),
        lambda errors, per: success_rate(errors, 15.0, per),
    ),
]
NAMES = ["mean", "sd", "median", "p95", "success"]
every_metric = pytest.mark.parametrize(("make", "function"), PAIRS, ids=NAMES)
every_per = pytest.mark.parametrize("per", ["all", "landmark", "case"])


def errors_of(batches):
    """Errors of all cases by the pure function, in double precision."""
    return np.concatenate([radial_errors(*batch).numpy() for batch in batches]).astype(np.float64)


@every_metric
@every_per
def test_however_the_cases_are_batched_it_is_the_function_of_all(make, function, per):
    whole = random_batch(0, batch=8)
    for sizes in ([8], [1, 5, 2], [1] * 8):
        metric = make(per=per)
        for batch in zip(*(torch.split(one, sizes) for one in whole), strict=True):
            metric.update(*batch)
        expected = function(errors_of([whole]), per)
        np.testing.assert_allclose(metric.compute().numpy(), expected, rtol=1e-6)


@every_metric
@every_per
def test_forward_is_of_the_batch_and_adds_it(make, function, per):
    batches, metric = [random_batch(0, 2), random_batch(1, 3)], make(per=per)
    for batch in batches:
        np.testing.assert_allclose(metric(*batch), function(errors_of([batch]), per), rtol=1e-6)
    np.testing.assert_allclose(metric.compute(), function(errors_of(batches), per), rtol=1e-6)


@every_metric
def test_a_reset_forgets_and_a_pickle_remembers(make, function):
    metric = make(per="landmark")
    metric.update(*random_batch(0, 5))
    metric.reset()
    metric.update(*random_batch(1, 4))
    assert not metric.state_dict()  # a checkpoint of the module holds nothing of it
    again = pickle.loads(pickle.dumps(metric))
    again.update(*random_batch(2, 3))
    expected = function(errors_of([random_batch(1, 4), random_batch(2, 3)]), "landmark")
    np.testing.assert_allclose(again.compute(), expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@every_metric
@every_per
def test_uneven_processes_make_the_function_of_all(make, function, per):
    """Three processes in one: each gathers what the others have, as torchmetrics asks it to."""
    batches = [[random_batch(0, 4), random_batch(1, 1)], [random_batch(2, 2)], []]
    metrics = [make(per=per) for _ in batches]
    for metric, own in zip(metrics, batches, strict=True):
        for batch in own:
            metric.update(*batch)

    def gather(tensor, group=None):
        if tensor.ndim == 0:
            return [metric.num_landmarks for metric in metrics]
        return [torch.cat(metric.errors_mm or [torch.zeros(0)]) for metric in metrics]

    asked = metrics[2].clone()  # the one without a case
    asked.dist_sync_fn, asked.distributed_available_fn = gather, lambda: True
    expected = function(errors_of([batch for own in batches for batch in own]), per)
    np.testing.assert_allclose(asked.compute(), expected, rtol=1e-6)


@every_metric
def test_nothing_defined_is_nan(make, function):
    metric = make(per="landmark")
    predicted, truth, defined = random_batch(0, batch=3)
    metric.update(predicted, torch.full_like(truth, torch.nan), torch.zeros_like(defined))
    assert torch.isnan(metric.compute()).all()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_before_the_first_case_the_mean_is_nan_and_there_are_no_landmarks():
    assert torch.isnan(MeanRadialError().compute())
    assert MeanRadialError(per="case").compute().shape == (0,)


def test_a_diverged_prediction_is_not_hidden():
    predicted, truth = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    predicted[0, 0] = torch.nan
    metrics = MetricCollection({"mean": MeanRadialError(), "within": SuccessRate(1.0)})
    metrics.update(predicted, truth, torch.ones(1, 2, dtype=torch.bool))
    assert metrics.compute() == {"mean": torch.inf, "within": 0.5}


def test_a_collection_can_share_the_errors():
    made = {"mean": MeanRadialError(), "sd": RadialErrorSD(), "within": SuccessRate(2.0)}
    metrics = MetricCollection(made, compute_groups=[list(made)])
    for seed in range(2):
        metrics.update(*random_batch(seed, 3))
    errors = errors_of([random_batch(0, 3), random_batch(1, 3)])
    expected = [mean_error(errors), error_sd(errors), success_rate(errors, 2.0)]
    np.testing.assert_allclose([float(one) for one in metrics.compute().values()], expected)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="share=95"):
        RadialErrorQuantile(95)
    with pytest.raises(ValueError, match="radius_mm=-1"):
        SuccessRate(-1.0)


def in_a_process(rank, address, found):
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    metrics = [make(per=per) for make, _ in PAIRS for per in ("all", "landmark", "case")]
    for metric in metrics:
        for seed, size in [[(0, 4), (1, 1)], []][rank]:
            metric.update(*random_batch(seed, size))
    values = [metric.compute() for metric in metrics]
    torch.save(values, f"{found}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_two_gloo_processes_agree_with_one(tmp_path):
    arguments = (f"file://{tmp_path}/rendezvous", str(tmp_path))
    torch.multiprocessing.spawn(in_a_process, arguments, nprocs=2)
    errors = errors_of([random_batch(0, 4), random_batch(1, 1)])
    expected = [
        function(errors, per) for _, function in PAIRS for per in ("all", "landmark", "case")
    ]
    for rank in range(2):
        for one, other in zip(torch.load(tmp_path / f"{rank}.pt"), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)

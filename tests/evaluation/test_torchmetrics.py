import pickle

import numpy as np
import pytest
import torch
from evaluation.test_metrics import random_batch

from pin_lightning.evaluation.metrics import mean_error, radial_errors
from pin_lightning.evaluation.torchmetrics import MeanRadialError

GROUPS = ("all", "landmark", "case")


def mean_of(batches, per):
    """Mean error of all cases by the pure function, in double precision."""
    errors = np.concatenate([radial_errors(*batch).numpy() for batch in batches])
    return mean_error(errors.astype(np.float64), per)


@pytest.mark.parametrize("per", GROUPS)
def test_the_mean_does_not_depend_on_the_batches(per):
    whole = random_batch(0, batch=8)
    for sizes in ([8], [1, 5, 2], [1] * 8):
        metric = MeanRadialError(per)
        for batch in zip(*(torch.split(one, sizes) for one in whole), strict=True):
            np.testing.assert_allclose(metric(*batch), mean_of([batch], per), rtol=1e-6)
        np.testing.assert_allclose(metric.compute(), mean_of([whole], per), rtol=1e-6)


def test_a_reset_forgets_and_a_pickle_remembers():
    metric = MeanRadialError("landmark")
    metric.update(*random_batch(0, 5))
    metric.reset()
    metric.update(*random_batch(1, 4))
    assert not metric.state_dict()  # a checkpoint of the module holds nothing of it
    again = pickle.loads(pickle.dumps(metric))
    again.update(*random_batch(2, 3))
    expected = mean_of([random_batch(1, 4), random_batch(2, 3)], "landmark")
    np.testing.assert_allclose(again.compute(), expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_defined_is_nan():
    assert torch.isnan(MeanRadialError().compute())
    assert MeanRadialError("case").compute().shape == (0,)
    metric = MeanRadialError("landmark")
    predicted, truth, defined = random_batch(0, batch=3)
    metric.update(predicted, torch.full_like(truth, torch.nan), torch.zeros_like(defined))
    assert torch.isnan(metric.compute()).all()


def in_a_process(rank, address, found):
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    metrics = [MeanRadialError(per) for per in GROUPS]
    for metric in metrics:
        for seed, size in [[(0, 4), (1, 1)], []][rank]:
            metric.update(*random_batch(seed, size))
    torch.save([metric.compute() for metric in metrics], f"{found}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_two_gloo_processes_agree_with_one(tmp_path):
    arguments = (f"file://{tmp_path}/rendezvous", str(tmp_path))
    torch.multiprocessing.spawn(in_a_process, arguments, nprocs=2)
    expected = [mean_of([random_batch(0, 4), random_batch(1, 1)], per) for per in GROUPS]
    for rank in range(2):
        for one, other in zip(torch.load(tmp_path / f"{rank}.pt"), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)

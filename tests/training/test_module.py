import functools
from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from pytorch_lightning.strategies import FSDPStrategy
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from pin_lightning.common.geometry import Grid
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.losses import RelativeError, pin_loss
from pin_lightning.method.networks import CompactNetwork, patches_to_input
from pin_lightning.method.shape_models import PCAShapeModel, PointsShapeModel
from pin_lightning.method.targets import direction_target
from pin_lightning.method.update_rules import RuleB
from pin_lightning.training.module import PINModule

GRID = Grid((20, 20, 20), 2.0)


@pytest.fixture
def shapes():
    return 5 * torch.randn(8, 3, 3, generator=torch.Generator().manual_seed(0))


def module(shapes, alpha=0.3, unit="sd", **settings):
    model = PCAShapeModel(2).fit(shapes, GRID.extent_mm)
    torch.manual_seed(0)
    network = CompactNetwork(9, 2, 5, widths=(4, 4), hidden=(8,), dropout=0.0)
    pin = Localizer(network, model, RuleB(3), GRID, 5, displacement_unit=unit)
    optimizer = functools.partial(torch.optim.SGD, lr=0.1)
    made = PINModule(pin, alpha, optimizer, **settings)
    made._trainer = SimpleNamespace(global_step=9, log_every_n_steps=5)
    made.logged = {}
    made.log_dict = lambda values, **_: made.logged.update(values)
    made.log = lambda name, value, **_: made.logged.update({name: value})
    return made


class Recorded(nn.Module):
    """A network whose outputs are known."""

    def __init__(self, displacement, logits):
        super().__init__()
        self.outputs = displacement, logits
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, patches):
        return self.outputs


def batch(shapes):
    generator = torch.Generator().manual_seed(1)
    return {
        "patches": torch.randint(0, 255, (4, 9, 5, 5), generator=generator).to(torch.uint8),
        "parameters": torch.randn(4, 2, generator=generator),
        "true_parameters": 3 * torch.randn(4, 2, generator=generator),
    }


@pytest.mark.parametrize("unit", ["voxel", "sd"])
def test_training_step_is_eq_2_in_the_unit_of_the_network(shapes, unit):
    made, samples = module(shapes, unit=unit), batch(shapes)
    loss = made.training_step(samples, 0)
    displacement, logits = made.localizer.network(patches_to_input(samples["patches"]))
    target = samples["true_parameters"] - samples["parameters"]
    scale = 2.0 if unit == "voxel" else made.localizer.shape_model.sd_
    expected = pin_loss(displacement, logits, target / scale, direction_target(target), 0.3)
    torch.testing.assert_close(loss, expected.total)
    torch.testing.assert_close(made.logged["train/displacement_loss"], expected.displacement)
    torch.testing.assert_close(made.logged["train/direction_loss"], expected.direction)


def test_logged_displacement_error_is_the_motion_of_the_landmarks(shapes):
    made, samples = module(shapes), batch(shapes)
    made.training_step(samples, 0)
    model = made.localizer.shape_model
    displacement, _ = made.localizer.network(patches_to_input(samples["patches"]))
    predicted = model.decode(samples["parameters"] + displacement * model.sd_)
    moved = (predicted - model.decode(samples["true_parameters"])).square().sum(-1).mean(-1).sqrt()
    torch.testing.assert_close(made.logged["train/displacement_error_mm"], moved.mean())


def test_only_the_steps_that_are_written_are_logged(shapes):
    made = module(shapes)
    made._trainer = SimpleNamespace(global_step=8, log_every_n_steps=5)
    made.training_step(batch(shapes), 0)
    assert not made.logged


def test_validation_is_the_error_of_the_full_procedure_and_skips_undefined(shapes):
    made = module(shapes, names=("tip", "base", "nobody's")).eval()
    volumes = torch.randint(0, 255, (2, *GRID.size)).to(torch.uint8)
    truth = shapes[:2].clone()
    truth[1, 1] = truth[:, 2] = torch.nan
    for _ in range(2):  # the second epoch forgets the first
        for index in range(2):
            one = {"volume": volumes[index][None], "landmarks_mm": truth[index][None]}
            made.validation_step(one, index)
        made.on_validation_epoch_end()
    errors = (made.localizer(volumes).prediction_mm - truth).norm(dim=-1)
    logged = {key: value for key, value in made.logged.items() if "landmark" in key}
    assert logged == {
        "val_landmark/tip_mm": pytest.approx(errors[:, 0].mean().item(), rel=1e-5),
        "val_landmark/base_mm": pytest.approx(errors[0, 1].item(), rel=1e-5),
    }
    torch.testing.assert_close(made.validation_error.compute(), errors.nanmean())


def test_only_the_network_is_optimised_and_the_schedule_steps_every_batch(shapes):
    schedule = functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=1.0)
    made = module(shapes, scheduler=schedule)
    made._trainer = SimpleNamespace(estimated_stepping_batches=50)
    configured = made.configure_optimizers()
    optimised = {id(p) for group in configured["optimizer"].param_groups for p in group["params"]}
    assert optimised == {id(p) for p in made.localizer.network.parameters()}
    assert configured["lr_scheduler"]["interval"] == "step"
    assert configured["lr_scheduler"]["scheduler"].total_steps == 50


def clip(network, strategy):
    """Clip its gradients to a norm of 0.5, as a module that holds it would."""
    holder = SimpleNamespace(trained=network)
    holder.trainer = SimpleNamespace(strategy=strategy)
    PINModule.configure_gradient_clipping(holder, Mock(torch.optim.Optimizer), 0.5)


def squared_gradients(network):
    return sum(one.grad.square().sum() for one in network.parameters() if one.grad is not None)


def test_gradients_are_clipped_together():
    network = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))
    (10 * network(torch.ones(4, 7))).square().sum().backward()
    shrunk = 0.5 / squared_gradients(network).sqrt()
    expected = [one.grad * shrunk for one in network.parameters()]
    clip(network, SimpleNamespace(model=network))
    torch.testing.assert_close([one.grad for one in network.parameters()], expected)


def _sharded(rank, folder):
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))
    model = FullyShardedDataParallel(network, use_orig_params=True, device_id=torch.device("cpu"))
    (10 * model(torch.ones(4, 7))).square().sum().backward()
    clip(network, Mock(FSDPStrategy, model=model))
    total = squared_gradients(network)
    dist.all_reduce(total)
    torch.save(total, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_the_gradients_of_sharded_weights_are_clipped_by_the_norm_of_all_parts(tmp_path):
    mp.start_processes(_sharded, (tmp_path,), nprocs=2, start_method="fork")
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(0.25)


def of_points(shapes, displacement, logits, all_known=False):
    """A module of landmarks that move by themselves, with known outputs of its network."""
    made = module(shapes, displacement_loss=RelativeError(), all_known=all_known)
    model = PointsShapeModel().fit(shapes, GRID.extent_mm)
    made.localizer = Localizer(Recorded(displacement, logits), model, RuleB(3), GRID, 5)
    return made


def unknown_samples(known):
    """One sample of three landmarks for each row that says which of them are known."""
    generator = torch.Generator().manual_seed(3)
    truth = torch.randn(len(known), 3, 3, generator=generator)
    truth[~torch.tensor(known).bool()] = float("nan")
    return {
        "patches": torch.zeros(len(known), 9, 5, 5, dtype=torch.uint8),
        "parameters": torch.zeros(len(known), 9),
        "true_parameters": truth.flatten(1),
        "scale_mm": 1 + torch.rand(len(known), 3, generator=generator),
    }


def test_a_landmark_without_a_truth_does_not_count(shapes):
    """By hand for the five landmarks that are known, one after the other."""
    samples, generator = unknown_samples([[1, 1, 1], [1, 0, 1]]), torch.Generator().manual_seed(2)
    displacement = torch.randn(2, 9, generator=generator, requires_grad=True)
    logits = torch.randn(2, 18, generator=generator, requires_grad=True)
    made = of_points(shapes, displacement, logits)
    loss = made.training_step(samples, 0)
    loss.backward()
    terms, errors = [], []
    for case, landmark in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]:
        own, classes = slice(3 * landmark, 3 * landmark + 3), slice(6 * landmark, 6 * landmark + 6)
        target = samples["true_parameters"][case, own]
        unit = samples["scale_mm"][case, landmark] / GRID.spacing_mm
        error = (displacement[case, own] - target / GRID.spacing_mm) / unit
        smooth = torch.where(error.abs() < 1, error**2 / 2, error.abs() - 0.5).mean()
        likely = logits[case, classes].log_softmax(0)[direction_target(target[None])[0]]
        terms.append(0.7 * smooth - 0.3 * likely)
        errors.append((displacement[case, own].detach() * GRID.spacing_mm - target).norm())
    torch.testing.assert_close(loss, torch.stack(terms).mean())
    logged = made.logged["train/displacement_error_mm"]
    torch.testing.assert_close(logged, torch.stack(errors).mean())
    assert not displacement.grad[1, 3:6].any()
    assert not logits.grad[1, 6:12].any()
    assert torch.isfinite(displacement.grad).all()


class Watched(TorchDispatchMode):
    """Refuses operations whose result has to be known before the next can be started."""

    def __torch_dispatch__(self, operation, types, arguments=(), settings=None):
        waits = {torch.ops.aten.nonzero.default, torch.ops.aten._local_scalar_dense.default}
        indices = arguments[1] if operation is torch.ops.aten.index.Tensor else ()
        by_boolean = any(one is not None and one.dtype == torch.bool for one in indices)
        assert operation not in waits, operation
        assert not by_boolean, "selects by a boolean tensor"
        return operation(*arguments, **(settings or {}))


@pytest.mark.parametrize("known", [[1, 0, 1], [0, 0, 0]])
def test_a_step_with_missing_landmarks_waits_for_no_result(shapes, known):
    gradient, _ = trained_on(shapes, unknown_samples([known, known]), Watched())
    assert torch.isfinite(gradient).all()


def test_weights_change_nothing_where_all_landmarks_are_known(shapes):
    samples = unknown_samples([[1, 1, 1]] * 2)
    outputs = torch.ones(2, 9), torch.linspace(-1, 1, 18).expand(2, -1)
    losses = [
        of_points(shapes, *outputs, all_known).training_step(samples, 0)
        for all_known in (True, False)
    ]
    torch.testing.assert_close(*losses)


def trained_on(shapes, samples, watched=None):
    """Gradient of the displacement's bias and what is logged after a step of a known network."""
    rows, bias = len(samples["patches"]), torch.ones(9, requires_grad=True)
    logits = torch.linspace(-1, 1, 18).expand(rows, -1)
    made = of_points(shapes, bias.expand(rows, -1), logits)
    with watched or nullcontext():
        made.training_step(samples, 0).backward()
    return bias.grad, made.logged


@pytest.mark.parametrize(
    "known",
    [[[1, 1, 1], [1, 0, 0]], [[1, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]],
    ids=["unequal", "one without", "both without"],
)
def test_known_landmarks_count_alike_in_whichever_process_they_are(shapes, monkeypatch, known):
    samples = unknown_samples(known)
    expected, logged = trained_on(shapes, samples)
    counts = [sum(row) for row in known]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda own: own.fill_(sum(counts)))
    halves = [
        trained_on(shapes, {name: values[[rank]] for name, values in samples.items()})
        for rank in range(2)
    ]
    torch.testing.assert_close((halves[0][0] + halves[1][0]) / 2, expected)
    for name, value in logged.items():
        torch.testing.assert_close((halves[0][1][name] + halves[1][1][name]) / 2, value)
    assert torch.isfinite(expected).all()
    assert bool(expected.any()) == (sum(counts) > 0)
    assert all(torch.isfinite(value) for value in logged.values())

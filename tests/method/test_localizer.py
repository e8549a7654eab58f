import pytest
import torch
from torch import nn

from pin_lightning.common.geometry import Grid
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.pyramid import build_pyramid, cut_levels, merge_levels
from pin_lightning.method.shape_models import IdentityShapeModel, PCAShapeModel, PointsShapeModel
from pin_lightning.method.targets import direction_target
from pin_lightning.method.update_rules import RuleA, RuleB, RuleC

GRID = Grid((40, 36, 32), 0.5)


def address_volume():
    """Every voxel holds its own index, so that a patch's centre tells where it was cut."""
    i, j, k = torch.meshgrid(*[torch.arange(1.0, n + 1) for n in GRID.size], indexing="ij")
    return i + 64 * j + 4096 * k


class Oracle(nn.Module):
    """A network that reads its position from an address volume and points at the truth."""

    def __init__(self, shape_model, truth_mm, unit_mm):
        super().__init__()
        self.shape_model, self.truth_mm, self.unit_mm = shape_model, truth_mm, unit_mm
        self.batches = []

    def forward(self, patches):
        self.batches.append(len(patches))
        middle = patches.shape[-1] // 2
        address = (patches[:, ::3, middle, middle] * 255).round()
        i, j, k = address % 64, (address // 64) % 64, address // 4096
        here_mm = GRID.ijk_to_mm(torch.stack([i, j, k], dim=-1) - 1)
        encode = self.shape_model.encode
        displacement = encode(self.truth_mm) - encode(here_mm)
        each = self.shape_model.by_group(displacement)
        certain = nn.functional.one_hot(direction_target(each), 2 * each.shape[1]).float()
        return displacement / self.unit_mm, 20.0 * certain.view(len(displacement), -1)


def fitted(kind):
    generator = torch.Generator().manual_seed(0)
    if kind == "identity":
        shapes = torch.randn(6, 1, 3, generator=generator)
        return IdentityShapeModel().fit(shapes, GRID.extent_mm), torch.tensor([[2.3, -1.6, 3.2]])
    # Whole shapes that shift and grow by less than the volume.
    corners = 2.0 * torch.tensor([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1.0]])
    shift = torch.randn(12, 1, 3, generator=generator) * 0.4
    growth = 1 + 0.1 * torch.randn(12, 1, 1, generator=generator)
    shapes = corners * growth + shift
    if kind == "points":  # which need not be one of these shapes
        truth = shapes[3] + 0.5 * torch.randn(4, 3, generator=generator)
        return PointsShapeModel().fit(shapes, GRID.extent_mm), truth
    model = PCAShapeModel(4).fit(shapes, GRID.extent_mm)
    return model, model.decode(model.encode(shapes[3]))


def localizer(kind, rule, unit="voxel", **settings):
    model, truth = fitted(kind)
    units = {"voxel": torch.full_like(model.sd_, GRID.spacing_mm), "sd": model.sd_}
    oracle = Oracle(model, truth, units[unit])
    made = Localizer(oracle, model, rule, GRID, 5, displacement_unit=unit, **settings)
    return made, truth


@pytest.mark.parametrize("unit", ["voxel", "sd"])
@pytest.mark.parametrize(("kind", "starts"), [("identity", 5), ("pca", 4), ("points", 3)])
@pytest.mark.parametrize("rule", [RuleA(80), RuleB(10), RuleC(60)])
def test_converges_to_the_truth(kind, starts, rule, unit):
    pin, truth = localizer(kind, rule, unit, num_starts=starts)
    trajectory = pin(address_volume()[None])
    assert trajectory.landmarks_mm.shape[2] == starts
    # The oracle sees whole voxels only, so it is right to half a voxel along each axis; rule A
    # then oscillates by a further voxel along each shape parameter.
    tolerance = 0.5 * GRID.spacing_mm * 3**0.5
    if isinstance(rule, RuleA):
        parameters = pin.shape_model.num_parameters / pin.shape_model.num_groups
        tolerance += GRID.spacing_mm * parameters**0.5
    errors = (trajectory.prediction_mm[0] - truth).norm(dim=-1)
    assert errors.max() <= tolerance
    assert (trajectory.landmarks_mm[0, -1].mean(dim=0) - truth).norm(dim=-1).max() <= tolerance


def test_a_start_that_no_longer_moves_leaves_the_batch():
    pin, truth = localizer("pca", RuleB(50), num_starts=6, tolerance_mm=0.3)
    trajectory = pin(address_volume()[None])
    assert trajectory.iterations.max() < 50
    assert pin.network.batches[0] == 6
    assert pin.network.batches == sorted(pin.network.batches, reverse=True)
    assert len(pin.network.batches) == trajectory.iterations.max()
    assert sum(pin.network.batches) == trajectory.iterations.sum()
    assert (trajectory.prediction_mm[0] - truth).norm(dim=-1).max() <= GRID.spacing_mm


class Recorded(nn.Module):
    """Gives the same outputs for any patches, and keeps these."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs, self.seen = outputs, []

    def forward(self, patches):
        self.seen.append(patches)
        return self.outputs


@pytest.mark.parametrize("rule", [RuleA(1), RuleB(1), RuleC(1)])
def test_one_step_of_points_is_that_of_each_landmark_alone(rule):
    generator = torch.Generator().manual_seed(3)
    displacement, logits = (torch.randn(2, n, generator=generator) for n in (12, 24))
    pin = Localizer(Recorded(displacement, logits), fitted("points")[0], rule, GRID, 5)
    pyramid = build_pyramid(torch.zeros(1, *GRID.size), GRID, [1])
    step = pin.step(pyramid, torch.zeros(2, dtype=torch.long), torch.zeros(2, 12))
    for one in range(4):
        own = displacement[:, 3 * one : 3 * one + 3] * GRID.spacing_mm
        alone = rule.step(own, logits[:, 6 * one : 6 * one + 6], GRID.spacing_mm)
        assert torch.equal(step[:, 3 * one : 3 * one + 3], alone)


def test_a_prior_holds_the_first_iterations_and_then_lets_go():
    pin, truth = localizer("points", RuleB(3), num_starts=2)
    prior = fitted("pca")[0]
    held, _ = localizer("points", RuleB(3), num_starts=2, prior=prior, prior_share=2 / 3)
    free, path = (one(address_volume()[None]).landmarks_mm[0] for one in (pin, held))
    modes, mean = prior.modes_.double(), prior.mean_mm_.double().flatten()
    expected = free[1].double().flatten(1)  # the first step is the same before the projection
    expected = mean + (expected - mean) @ modes.T @ modes
    torch.testing.assert_close(path[1].flatten(1), expected.float(), atol=1e-4, rtol=0)
    for iteration in (1, 2):
        known = prior.decode(prior.encode(path[iteration]))
        torch.testing.assert_close(path[iteration], known, atol=1e-4, rtol=0)
    assert (path[3] - prior.decode(prior.encode(path[3]))).norm(dim=-1).max() > 0.1
    assert (path[3] - truth).norm(dim=-1).max() <= 0.5 * GRID.spacing_mm * 3**0.5 + 1e-4


def test_a_start_that_a_prior_holds_back_is_not_taken_for_one_that_has_arrived():
    settings = {"num_starts": 2, "tolerance_mm": 0.6, "prior": fitted("pca")[0]}
    held, truth = localizer("points", RuleB(20), prior_share=0.25, **settings)
    trajectory = held(address_volume()[None])
    assert ((trajectory.iterations > 5) & (trajectory.iterations < 20)).all()
    assert (trajectory.landmarks_mm[0, -1] - truth).norm(dim=-1).max() <= GRID.spacing_mm


def test_a_prior_that_never_holds_is_refused_and_without_one_nothing_is_held():
    for share in (0, 1.5):
        with pytest.raises(ValueError, match=rf"model\.prior_share={share}"):
            localizer("points", RuleB(1), prior=fitted("pca")[0], prior_share=share)
    assert localizer("points", RuleB(1), prior_share=0.5)[0].prior_iterations == 0


def test_patches_of_every_spacing_reach_the_network():
    model, _ = fitted("points")
    network = Recorded(torch.zeros(1, 12), torch.zeros(1, 24))
    pin = Localizer(network, model, RuleB(1), GRID, 5, num_starts=1, patch_spacings=(1, 3))
    pin(address_volume()[None])
    pyramid = build_pyramid(address_volume()[None], GRID, [1, 3])
    start = model.mean_mm_[None]
    levels = cut_levels(pyramid, torch.zeros(1, dtype=torch.long), start, 5, "nearest")
    torch.testing.assert_close(network.seen[0] * 255, merge_levels(levels))


def test_each_stage_computes_as_in_its_own_training_or_as_both_are_told():
    first, second = localizer("pca", RuleB(1))[0], localizer("points", RuleB(1))[0]
    second.first_stage = first
    first.precision, second.precision = "bf16-mixed", "32-true"
    second.choose_dtype(torch.device("cpu"))
    assert (first.network_dtype, second.network_dtype) == (torch.bfloat16, torch.float32)
    second.set_dtype(torch.float16)
    assert (first.network_dtype, second.network_dtype) == (torch.float16, torch.float16)

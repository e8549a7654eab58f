import pytest
import torch
from torch import nn

from pin_lightning.geometry import Grid
from pin_lightning.localizer import Localizer
from pin_lightning.shape_models import IdentityShapeModel, PCAShapeModel
from pin_lightning.targets import direction_target
from pin_lightning.update_rules import RuleA, RuleB, RuleC

GRID = Grid((40, 36, 32), 0.5)
STRIDES = torch.tensor([1.0, 64.0, 4096.0])


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
        certain = nn.functional.one_hot(direction_target(displacement), 2 * len(self.unit_mm))
        return displacement / self.unit_mm, 20.0 * certain.float()


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
    model = PCAShapeModel(4).fit(shapes, GRID.extent_mm)
    return model, model.decode(model.encode(shapes[3]))


def localizer(kind, rule, unit="voxel", **settings):
    model, truth = fitted(kind)
    units = {"voxel": torch.full_like(model.sd_, GRID.spacing_mm), "sd": model.sd_}
    oracle = Oracle(model, truth, units[unit])
    made = Localizer(oracle, model, rule, GRID, 5, displacement_unit=unit, **settings)
    return made, truth


@pytest.mark.parametrize("unit", ["voxel", "sd"])
@pytest.mark.parametrize(("kind", "starts"), [("identity", 19), ("pca", 6)])
@pytest.mark.parametrize("rule", [RuleA(350), RuleB(10), RuleC(60)])
def test_converges_to_the_truth(kind, starts, rule, unit):
    pin, truth = localizer(kind, rule, unit, num_starts=starts)
    trajectory = pin(address_volume()[None])
    assert trajectory.landmarks_mm.shape[2] == starts
    # The oracle sees whole voxels only, so it is right to half a voxel along each axis; rule A
    # then oscillates by a further voxel along each shape parameter.
    tolerance = 0.5 * GRID.spacing_mm * 3**0.5
    if isinstance(rule, RuleA):
        tolerance += GRID.spacing_mm * pin.shape_model.num_parameters**0.5
    errors = (trajectory.prediction_mm[0] - truth).norm(dim=-1)
    assert errors.max() <= tolerance
    assert (trajectory.landmarks_mm[0, -1].mean(dim=0) - truth).norm(dim=-1).max() <= tolerance


def test_rule_b_by_hand_from_one_start():
    pin, truth = localizer("identity", RuleB(1), num_starts=1)
    trajectory = pin(address_volume()[None])
    # The start is the volume's centre, voxel (19.5, 17.5, 15.5), cut at the voxel (20, 18, 16).
    torch.testing.assert_close(trajectory.landmarks_mm[0, 0, 0], torch.zeros(1, 3))
    torch.testing.assert_close(
        trajectory.landmarks_mm[0, 1, 0], truth - 0.5 * GRID.spacing_mm, atol=1e-4, rtol=0
    )


def test_prediction_is_the_mean_of_the_final_positions_and_spread_their_distance():
    pin, _ = localizer("pca", RuleB(1), num_starts=6)
    trajectory = pin(address_volume()[None])
    final = trajectory.landmarks_mm[0, -1]
    torch.testing.assert_close(trajectory.prediction_mm[0], final.mean(dim=0))
    distances = (final - final.mean(dim=0)).norm(dim=-1)
    torch.testing.assert_close(trajectory.spread_mm[0], distances.square().mean(dim=0).sqrt())


def test_a_start_that_no_longer_moves_leaves_the_batch():
    pin, truth = localizer("pca", RuleB(50), num_starts=6, tolerance_mm=0.3)
    trajectory = pin(address_volume()[None])
    assert trajectory.iterations.max() < 50
    assert pin.network.batches[0] == 6
    assert pin.network.batches == sorted(pin.network.batches, reverse=True)
    assert len(pin.network.batches) == trajectory.iterations.max()
    assert sum(pin.network.batches) == trajectory.iterations.sum()
    assert (trajectory.prediction_mm[0] - truth).norm(dim=-1).max() <= GRID.spacing_mm


def test_without_a_tolerance_all_iterations_are_made():
    pin, _ = localizer("pca", RuleB(7), num_starts=6, tolerance_mm=0.0)
    trajectory = pin(address_volume()[None])
    assert (trajectory.iterations == 7).all()
    assert trajectory.landmarks_mm.shape == (1, 8, 6, 4, 3)


def test_several_volumes_at_once_are_as_one_at_a_time():
    pin, _ = localizer("pca", RuleB(10), num_starts=3, tolerance_mm=0.05)
    volumes = torch.stack([address_volume(), torch.zeros(GRID.size), address_volume()])
    together = pin(volumes)
    for index in range(3):
        alone = pin(volumes[index][None])
        torch.testing.assert_close(together.prediction_mm[index], alone.prediction_mm[0])
        assert torch.equal(together.iterations[index], alone.iterations[0])


def test_starts_outside_and_steps_far_outside_are_harmless():
    pin, _ = localizer("identity", RuleB(3), num_starts=19)
    pin.network.truth_mm = torch.tensor([[1e4, -1e4, 1e4]])
    assert torch.isfinite(pin(address_volume()[None]).prediction_mm).all()


def test_the_same_seed_gives_the_same_starts_and_another_seed_others():
    pins = [localizer("pca", RuleB(1), seed=seed)[0] for seed in (1, 1, 2)]
    starts = [pin.starts() for pin in pins]
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0][1:], starts[2][1:])

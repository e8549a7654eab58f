import math

import pytest
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.training.augmentation.warps import Warp, WarpSettings, rotation_matrices

GRID = Grid((61, 51, 41), 0.5)
EXTENT = torch.tensor(GRID.extent_mm)
# One at a time, then all of them.
KINDS = {
    "rotation": {"rotation_sd_degrees": 12.0},
    "scale": {"scale_sd": 0.1},
    "shear": {"shear_sd": 0.08},
    "shift": {"shift_sd": 0.05},
    "elastic": {"elastic_sd": 0.012},
    "flip": {"flip_probability": 0.5},
}
KINDS["all"] = {name: value for kind in KINDS.values() for name, value in kind.items()}


def draw(count=8, seed=0, **settings):
    return WarpSettings(**settings).draw(count, GRID, torch.Generator().manual_seed(seed))


def inside(count, samples=8, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(samples, count, 3, generator=generator) - 0.5) * EXTENT


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_both_directions_are_inverse_to_a_hundredth_of_a_voxel(settings):
    warp, points = draw(**settings), inside(100)
    moved = warp.from_original(points)
    assert (moved - points).norm(dim=-1).max() > GRID.spacing_mm
    back = warp.to_original(moved)
    assert (back - points).norm(dim=-1).max() < 0.01 * GRID.spacing_mm
    forth = warp.from_original(warp.to_original(points))
    assert (forth - points).norm(dim=-1).max() < 0.01 * GRID.spacing_mm


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_some_of_the_samples_move_as_they_do_among_all(settings):
    warp, points, some = draw(**settings), inside(10), slice(1, None, 3)
    moved = warp.to_original(points)[some]
    torch.testing.assert_close(warp[some].to_original(points[some]), moved)
    assert torch.equal(warp[some].flipped, warp.flipped[some])


def test_a_quarter_turn_by_hand():
    quarter = rotation_matrices(torch.tensor([[0.0, 0.0, math.pi / 2]]))
    turned = quarter[0] @ torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(turned, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    warp = Warp(quarter, torch.tensor([[0.5, 0.0, 0.0]]), torch.tensor([False]))
    point = torch.tensor([[[2.0, 1.0, 4.0]]])
    expected = torch.tensor([[[-0.5, 2.0, 4.0]]])
    torch.testing.assert_close(warp.to_original(point), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(warp.from_original(expected), point, atol=1e-6, rtol=0)


def test_all_zero_is_the_identity():
    settings = WarpSettings()
    assert settings.is_identity
    assert WarpSettings(elastic_spacing=0.5, flip_axis="y").is_identity
    assert not any(WarpSettings(**kind).is_identity for kind in KINDS.values())
    warp = draw()
    assert warp.elastic is None
    assert torch.equal(warp.to_original(inside(5)), inside(5))


def test_draws_have_the_spread_asked_for():
    logs = draw(4000, scale_sd=0.1).linear.diagonal(dim1=1, dim2=2).log()
    assert logs.std(dim=0).numpy() == pytest.approx(3 * [0.1], rel=0.05)
    shifts = draw(4000, shift_sd=0.02).shift_mm / EXTENT
    assert shifts.std(dim=0).numpy() == pytest.approx(3 * [0.02], rel=0.05)
    shears = draw(4000, shear_sd=0.05).linear
    assert shears[:, [0, 0, 1], [1, 2, 2]].std(dim=0).numpy() == pytest.approx(3 * [0.05], rel=0.05)
    assert torch.equal(shears.tril(), torch.eye(3).expand(4000, 3, 3))
    turns = draw(4000, rotation_sd_degrees=5.0).linear
    cosines = (turns.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2
    degrees = torch.rad2deg(torch.acos(cosines.clamp(-1, 1)))  # the length of three angles
    assert degrees.square().mean().sqrt().item() == pytest.approx(5 * 3**0.5, rel=0.05)


@pytest.mark.parametrize(("axis", "number"), [("x", 0), ("y", 1), ("z", 2)])
def test_a_share_of_the_samples_is_mirrored(axis, number):
    warp = draw(2000, flip_probability=0.25, flip_axis=axis)
    assert warp.flipped.float().mean().item() == pytest.approx(0.25, abs=0.04)
    mirror = torch.ones(3)
    mirror[number] = -1
    points = inside(1, samples=2000)
    expected = torch.where(warp.flipped[:, None, None], points * mirror, points)
    torch.testing.assert_close(warp.to_original(points), expected)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("rotation_sd_degrees", -1, "give a number that is 0 or more"),
        ("scale_sd", -1, "give a number that is 0 or more"),
        ("shear_sd", math.inf, "give a number that is 0 or more"),
        ("shift_sd", math.nan, "give a number that is 0 or more"),
        ("elastic_sd", 0.02, "give at most 0.0147"),
        ("elastic_spacing", 0.01, "from 0.05 to 1"),
        ("elastic_spacing", 2.0, "from 0.05 to 1"),
        ("flip_probability", 1.5, "from 0 to 1"),
        ("flip_axis", "left", "give x, y or z"),
    ],
)
def test_bad_settings_are_named(setting, value, words):
    with pytest.raises(ValueError, match=rf"augmentation\.{setting}={value}: .*{words}"):
        WarpSettings(**{setting: value})
    WarpSettings(elastic_sd=0.0147)

import importlib.util
import itertools
import math

import numpy as np
import pytest
import torch

from pin_lightning.baselines.agent import (
    LEAST_SLOPE,
    POOL,
    Agent,
    _Scenes,
    spread_around,
    walked,
)
from pin_lightning.baselines.base import Problem, TrainingCases
from pin_lightning.common.geometry import Grid
from pin_lightning.method.pyramid import coarser_grid

GRID = Grid((20, 16, 18), 1.5)
needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(one) is None for one in Agent.needs),
    reason="pip install 'pin-lightning[baselines]'",
)
SMALL = {"scales": (2, 1), "box_side": 5, "widths": (4,), "hidden": 8}


def towards(targets, gains=1.0):
    """A policy that knows the landmarks: a move is worth by how much it comes closer."""

    def values(positions):
        apart = targets.repeat_interleave(len(positions) // len(targets), dim=0) - positions
        worth = torch.stack([apart, -apart], dim=-1).flatten(-2).float()
        return gains * worth.clamp(max=1)

    return values


def test_a_walk_ends_in_a_cycle_around_the_landmark():
    targets = torch.tensor([[4.4, 3.0, 2.0], [1.0, 1.0, 0.0]])
    start = torch.tensor([[2, 3, 2], [1, 1, 1]])
    walk = walked(towards(targets), start, torch.tensor([9, 9, 9]), most_moves=10)
    # The first goes to 5 and back to 4; the second to its landmark, on along x, and back.
    first = [[2, 3, 2], [3, 3, 2], [4, 3, 2], [5, 3, 2], [4, 3, 2]]
    assert walk.path_ijk[0].tolist() == first
    assert walk.end_ijk[0].tolist() == [4.5, 3, 2]
    second = [[1, 1, 1], [1, 1, 0], [2, 1, 0], [1, 1, 0], [1, 1, 0]]
    assert walk.path_ijk[1].tolist() == second  # it stands while the other walks
    assert walk.end_ijk[1].tolist() == [1.5, 1, 0]


def preferring(forward):
    """A policy with given preferences [V, 3] to go forward along each axis."""

    def values(positions):
        preferred = forward(positions.float())
        return torch.stack([preferred, -preferred], dim=-1).flatten(-2) + 0.7

    return values


def test_the_spread_of_preferences_on_a_line_is_that_of_a_voxel():
    policy = preferring(lambda positions: (4.4 - positions) * 0.3)
    spread = spread_around(policy, torch.tensor([[4.5, 4, 5]]), torch.full((3,), 9))
    assert float(spread) == pytest.approx(math.sqrt(3 / 12))


@pytest.mark.parametrize("end", [(4.0, 5.0, 6.0), (0.0, 9.0, 4.0)])  # the border stops the second
def test_the_spread_is_of_lines_fitted_by_numpy(end):
    random = np.random.default_rng(0)
    noise = torch.from_numpy(random.normal(0, 0.2, (10, 10, 10, 3))).float()
    slopes = torch.tensor([0.5, 0.8, -0.2])  # along the last axis the agent goes the wrong way

    def forward(positions):
        x, y, z = positions.long().unbind(dim=1)
        return noise[x, y, z] - slopes * positions

    spread = spread_around(preferring(forward), torch.tensor([end]), torch.full((3,), 9))
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    places = np.clip(np.array(end) + steps, 0, 9)
    preferred, squares = forward(torch.from_numpy(places)).numpy(), 3 / 12
    for axis in range(3):
        line = np.polyfit(places[:, axis], preferred[:, axis], 1)
        off = preferred[:, axis] - np.polyval(line, places[:, axis])
        squares += (off**2).mean() / max(-line[0], LEAST_SLOPE) ** 2
    assert float(spread) == pytest.approx(math.sqrt(squares), rel=1e-4)


def test_a_walk_without_a_cycle_ends_after_its_moves():
    walk = walked(
        towards(torch.tensor([[90.0, 3, 2]])), torch.tensor([[4, 3, 2]]), torch.full((3,), 99), 5
    )
    assert walk.path_ijk[0, :, 0].tolist() == [4, 5, 6, 7, 8, 9]
    assert walk.end_ijk.tolist() == [[8, 3, 2]]


def test_the_border_ends_a_walk():
    walk = walked(
        towards(torch.tensor([[90.0, 3, 2]])), torch.tensor([[4, 3, 2]]), torch.full((3,), 6)
    )
    assert walk.end_ijk.tolist() == [[6, 3, 2]]


@needs_packages
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("scales", []),
        ("scales", [1, 2]),
        ("scales", [3, 2]),
        ("scales", [2, 2]),
        ("scales", [0]),
        ("box_side", 4),
        ("box_side", 1),
        ("widths", []),
        ("hidden", 0),
        ("learning_rate", 0.0),
        ("discount", 1.0),
    ],
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=rf"system\.{setting}="):
        Agent(Problem(GRID, 2), **{setting: value})


@needs_packages
def test_agents_that_know_the_way_arrive_from_scale_to_scale():
    made = Agent(Problem(GRID, 2), **SMALL).eval()
    truth_mm = torch.tensor([[[4.2, -3.1, 2.0], [-6, 5, -4.4]]]).repeat(2, 1, 1)
    truth_mm[1] += 1.5
    made.learn_shapes(torch.zeros(3, 2, 3))
    networks, grids = list(made.networks), [coarser_grid(GRID, 2), GRID]

    def knowing(network, level):
        landmark, scale = divmod(networks.index(network), 2)
        return towards(grids[scale].mm_to_ijk(truth_mm[:, landmark]))

    made._policy = knowing
    found = made(torch.zeros(2, *GRID.size, dtype=torch.uint8))
    assert (found.prediction_mm - truth_mm).abs().max() <= 0.75 + 1e-4
    path = found.landmarks_mm
    assert path.shape[:1] + path.shape[2:] == (2, 1, 2, 3)
    assert (path[:, 0] == 0).all()
    torch.testing.assert_close(path[:, -1, 0], found.prediction_mm)
    for volume, last in enumerate(found.iterations[:, 0].tolist()):
        assert 3 < last < 40  # 85 if it went on to the end
        assert (path[volume, last:] == path[volume, -1]).all()
        assert (path[volume, last - 1] != path[volume, -1]).any()
    assert (found.spread_mm > 0).all()


@needs_packages
def test_a_start_is_drawn_by_more_than_landmarks_vary():
    made = Agent(Problem(GRID, 1), **SMALL)
    made.learn_shapes(torch.tensor([[[-6.0, 1, 0]], [[6.0, 3, 0]]]))
    coarse, fine = (made._search_settings(0, scale) for scale in (0, 1))
    # SDs of 6, 1 and 0 mm, and voxels of 3 mm: at least 2 voxels.
    assert coarse["reach"] == [4, 2, 2]
    assert coarse["centre"] == coarser_grid(GRID, 2).mm_to_ijk(torch.tensor([0.0, 2, 0])).tolist()
    assert fine["reach"] == [4, 4, 4]
    assert fine["centre"] is None


def cases_of(volumes, landmarks_mm):
    """Training cases that are drawn one after the other."""
    drawn = []

    def draw(count):
        assert count == 1
        drawn.append(len(drawn) % len(volumes))
        return volumes[drawn[-1]][None], landmarks_mm[drawn[-1]][None]

    return TrainingCases(list(volumes), landmarks_mm, draw), drawn


def test_volumes_are_used_for_some_episodes_each_and_only_with_the_landmark():
    volumes = torch.arange(3, dtype=torch.uint8)[:, None, None, None].repeat(1, 4, 4, 4)
    landmarks_mm = torch.tensor([[[1.0, 0, 0]], [[math.nan] * 3], [[2.0, 0, 0]]])
    cases, drawn = cases_of(volumes, landmarks_mm)
    draw = _Scenes(cases, lambda levels: [levels]).of(0, 0, Grid((4, 4, 4), 2.0))
    for _ in range(20 * POOL):
        volume, target = draw()
        number = int(volume[0, 0, 0])
        assert number in (0, 2)
        np.testing.assert_allclose(target, [1.5 + (0.5 if number == 0 else 1), 1.5, 1.5])
    uses = 20 * POOL * 3 / 2  # a third of them lack the landmark
    assert len(drawn) == pytest.approx(uses / 4, rel=0.2)


@needs_packages
@pytest.mark.slow
class TestLearning:
    """stable-baselines3 takes seconds to import."""

    def test_one_volume_is_learnt_to_less_than_a_voxel(self):
        truth_mm = torch.tensor([[4.2, -3.1, 2.0]])
        distance = (
            torch.cartesian_prod(*[torch.arange(side) for side in GRID.size]).view(*GRID.size, 3)
            - GRID.mm_to_ijk(truth_mm[0])
        ).norm(dim=-1)
        volume = 255 * torch.exp(-distance / 8)
        torch.manual_seed(0)
        settings = {"box_side": 9, "widths": (8, 16), "hidden": 32, "scales": (2, 1)}
        made = Agent(Problem(GRID, 1), **settings)
        made.learn_shapes(torch.stack([truth_mm + 5, truth_mm - 2]))
        cases, _ = cases_of(volume.round().to(torch.uint8)[None], truth_mm[None])
        logged = []
        made.train().fit(cases, 12_000, lambda step, values: logged.append((step, values)))
        found = made.eval()(volume[None]).prediction_mm[0]
        assert (found - truth_mm).norm() < GRID.spacing_mm
        assert [step for step, _ in logged] == sorted(step for step, _ in logged)
        assert logged[-1][0] <= 12_000
        assert logged[-1][1]["reward_voxels"] > logged[0][1]["reward_voxels"]

    def test_missing_landmarks_are_not_learnt(self):
        made = Agent(Problem(GRID, 2), **SMALL)
        made.learn_shapes(torch.zeros(2, 2, 3))
        of_first = ("networks.0.", "networks.1.")  # two scales
        before = {name: one.clone() for name, one in made.state_dict().items()}
        landmarks_mm = torch.tensor([[[math.nan] * 3, [1.0, 2, 3]]])
        cases, _ = cases_of(torch.zeros(1, *GRID.size, dtype=torch.uint8), landmarks_mm)
        made.fit(cases, 400, lambda step, values: None)
        for name, value in made.state_dict().items():
            if name.startswith("networks"):
                assert torch.equal(value, before[name]) == name.startswith(of_first), name

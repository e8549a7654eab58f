import importlib.util
import math

import numpy as np
import pytest
import torch

from pin_lightning.baselines.action_map import (
    ActionMap,
    action_target,
    axis_votes,
    drawn_voxels,
    refined,
    spread,
    voted,
)
from pin_lightning.baselines.base import Problem
from pin_lightning.common.geometry import Grid

GRID = Grid((30, 24, 20), 2.0)
needs_monai = pytest.mark.skipif(
    importlib.util.find_spec("monai") is None,
    reason="MONAI is not installed: pip install 'pin-lightning[baselines]'",
)


def voxels_of(size):
    return torch.cartesian_prod(*[torch.arange(side) for side in size]).view(*size, 3)


def perfect_votes(centre, size, softness=0.0):
    """Votes of an action map without a mistake; with softness, sure only at some distance."""
    displacement = centre - voxels_of(size)
    if softness == 0:
        actions = torch.nn.functional.one_hot(action_target(displacement), 6).float()
    else:
        scores = torch.stack([displacement, -displacement], dim=-1).flatten(-2) / softness
        actions = torch.softmax(scores, dim=-1)
    return axis_votes(actions)


def random_votes(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return axis_votes(torch.softmax(torch.randn(*size, 6, generator=generator), dim=-1))


def test_actions_by_hand():
    displacement = torch.tensor(
        [[[3.0, 1, -2], [-3, 1, 2]], [[1, 2, 0], [0, -5, 4]], [[1, 1, 1.5], [0, 1, -4]]]
    )
    # Towards larger and smaller x, then y, then z.
    assert action_target(displacement).tolist() == [[0, 1], [2, 3], [4, 5]]


def test_actions_are_the_nearest_of_the_six_moves():
    """Eq. 1 of Xu et al.: the unit move after which the rest of the way is shortest."""
    generator = torch.Generator().manual_seed(0)
    displacement = 20 * torch.rand(500, 3, generator=generator) - 10
    moves = np.repeat(np.eye(3), 2, axis=0) * np.tile([1, -1], 3)[:, None]
    rest = np.linalg.norm(displacement.numpy()[:, None] - moves, axis=2)
    np.testing.assert_array_equal(action_target(displacement), rest.argmin(axis=1))


def test_votes_are_counted_as_one_by_one():
    size = (5, 4, 6)
    votes = random_votes(size)
    expected = []
    for axis, side in enumerate(size):
        score = np.zeros(side)
        for voxel in np.ndindex(*size):
            larger, smaller = votes[(axis, *voxel)].tolist()
            for position in range(side):
                side_of_it = np.sign(position - voxel[axis])
                score[position] += side_of_it * (larger - smaller)
        expected.append(int(score.argmax()))
    assert voted(votes).tolist() == expected


def test_the_vote_of_a_line_by_hand():
    votes = torch.zeros(3, 5, 1, 1, 2)
    votes[0, :, 0, 0, 0] = torch.tensor([1, 1, 0.75, 0, 0])
    votes[0, :, 0, 0, 1] = torch.tensor([0, 0, 0.25, 1, 1])
    # Scores: 0.5, 2.5, 4, 3.5, 1.5
    assert voted(votes)[0] == 2


@pytest.mark.parametrize(("softness", "most"), [(0.0, 0.6), (1.0, 0.25), (3.0, 0.15)])
def test_a_perfect_action_map_gives_the_landmark(softness, most):
    """One of whole classes is the same for all landmarks between some planes of voxels."""
    generator = torch.Generator().manual_seed(0)
    size = (32, 28, 36)
    missed = []
    for _ in range(25):
        centre = 3 + torch.rand(3, generator=generator) * (torch.tensor(size) - 7)
        votes = perfect_votes(centre, size, softness)
        start = voted(votes)
        assert (start - centre).abs().max() < 1
        missed.append((refined(votes, start, 8) - centre).norm())
    assert max(missed) < most
    assert sum(missed) / len(missed) < most / 2


def test_the_window_follows_the_votes_from_afar():
    centre = torch.tensor([20.3, 9.6, 14.1])
    votes = perfect_votes(centre, (32, 28, 36), 1.0)
    found = refined(votes, torch.tensor([5, 22, 30]), 4)
    assert (found - centre).norm() < 0.2


def test_a_window_in_balance_by_hand():
    """In a line of 7 voxels around 2.75, of which two thirds of the third vote for larger ones."""
    votes = torch.zeros(3, 7, 1, 1, 2)
    votes[0, :, 0, 0, 0] = torch.tensor([1, 1, 1, 0.25, 0, 0, 0])
    votes[0, :, 0, 0, 1] = torch.tensor([0, 0, 0, 0.75, 1, 1, 1])
    # Around voxel 3: 3 + 0.25 - 0.75 - 3 = -0.5, and its ends differ by 2: a quarter to the left.
    found = refined(votes, torch.tensor([3, 0, 0]), 3)
    torch.testing.assert_close(found, torch.tensor([2.75, 0, 0]))


def test_without_any_sure_vote_there_is_a_place_all_the_same():
    votes = torch.full((3, 6, 5, 4, 2), 1 / 6)
    found = refined(votes, voted(votes), 8)
    assert ((found >= 0) & (found <= torch.tensor([5, 4, 3]))).all()
    assert torch.isfinite(spread(votes, found))


def test_the_spread_of_sure_votes_is_that_within_a_voxel():
    votes = perfect_votes(torch.tensor([8.0, 7, 6]), (16, 15, 14))
    assert float(spread(votes, torch.tensor([8.0, 7, 6]))) == pytest.approx(0.5)


def test_the_spread_is_that_of_the_distribution_that_the_votes_state():
    """Votes along the lines are the probabilities of a normal distribution."""
    sd = torch.tensor([3.0, 2.0, 4.0])
    centre = torch.tensor([20.0, 20, 20])
    size = (41, 41, 41)
    larger = torch.distributions.Normal(centre, sd).cdf(voxels_of(size).float())
    votes = torch.stack([1 - larger, larger], dim=-1).movedim(3, 0)
    expected = math.sqrt(9 + 4 + 16 + 3 / 12)
    assert float(spread(votes, centre)) == pytest.approx(expected, rel=0.02)


def test_half_of_the_voxels_are_drawn_around_the_landmark():
    generator = torch.Generator().manual_seed(0)
    size, centre = (40, 30, 20), torch.tensor([[20.0, 15, 10], [-3, 15, 10]])
    drawn = drawn_voxels(centre, size, 4001, 2.0, generator)
    assert drawn.shape == (2, 4001, 3)
    assert (drawn >= 0).all()
    assert (drawn.amax(dim=1) < torch.tensor(size)).all()
    anywhere, near = drawn[:, :2000].float(), drawn[0, 2000:].float()
    sides = torch.tensor(size)
    torch.testing.assert_close(anywhere.mean(dim=1), ((sides - 1) / 2).expand(2, 3), atol=1, rtol=0)
    torch.testing.assert_close(near.mean(dim=0), centre[0], atol=0.2, rtol=0)
    torch.testing.assert_close(near.std(dim=0), torch.full((3,), 2.0), atol=0.2, rtol=0)


@needs_monai
@pytest.mark.parametrize(
    ("setting", "value"),
    [("most_voxels", 10), ("widths", [4]), ("sampled_voxels", 1), ("window", 0)],
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=rf"system\.{setting}="):
        ActionMap(Problem(GRID, 2), **{setting: value})


@pytest.fixture
def system():
    torch.manual_seed(0)
    made = ActionMap(Problem(GRID, 3), most_voxels=2000, widths=(4, 8, 8), sampled_voxels=500)
    shapes_mm = torch.tensor([[0.0, 0, 0], [6.2, -5, 3], [-7, 4.4, -5]]).repeat(2, 1, 1)
    made.learn_shapes(shapes_mm + torch.tensor([-4.0, 4.0])[:, None, None])
    return made


@needs_monai
@pytest.mark.slow
class TestNetwork:
    """MONAI takes seconds to import."""

    def test_the_variation_of_the_shapes_by_hand(self, system):
        torch.testing.assert_close(system.sd_mm_, torch.full((3,), 4.0))

    def test_the_loss_is_the_cross_entropy_of_the_known_landmarks(self, system):
        grid = system.input_grid
        landmarks_mm = torch.tensor([[[3.0, 0, 0], [2, 4, -2], [math.nan] * 3]])
        volumes = 255 * torch.rand(1, *grid.size)
        features = system._features(volumes)[0].detach().double().numpy()
        loss = system.training_loss(volumes, landmarks_mm, torch.Generator().manual_seed(3))
        generator, expected = torch.Generator().manual_seed(3), []
        for landmark in range(2):
            centre = grid.mm_to_ijk(landmarks_mm[:, landmark])
            drawn = drawn_voxels(centre, grid.size, 500, 2 * 4 / grid.spacing_mm, generator)[0]
            label = action_target(centre - drawn).numpy()
            weight, bias = (
                one.detach().double().numpy() for one in system.heads[landmark].parameters()
            )
            scores = features[:, *drawn.T.numpy()].T @ weight.T + bias
            log_sum = np.log(np.exp(scores).sum(axis=1))
            expected.append((log_sum - scores[np.arange(500), label]).mean())
        assert float(loss["action_loss"].detach()) == pytest.approx(np.mean(expected), rel=1e-4)

    def test_one_volume_is_learnt_to_less_than_a_voxel(self):
        grid, truth_mm = Grid((20, 16, 18), 1.5), torch.tensor([[[4.2, -3.1, 2.0], [-6, 5, -4.4]]])
        torch.manual_seed(0)
        made = ActionMap(Problem(grid, 2), widths=(8, 16, 16), sampled_voxels=1000)
        made.learn_shapes(torch.stack([truth_mm[0] + 5, truth_mm[0] - 2]))
        distance = (voxels_of(grid.size) - grid.mm_to_ijk(truth_mm[0, 0])).norm(dim=-1)
        volume = 60 * torch.rand(grid.size, generator=torch.Generator().manual_seed(0))
        volume = (volume + 150 * torch.exp(-0.1 * distance**2)).clamp(0, 255)[None]
        optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
        generator = torch.Generator().manual_seed(0)
        for _ in range(120):
            loss = made.training_loss(volume, truth_mm, generator)["action_loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        made.eval()
        apart = (made(volume).prediction_mm - truth_mm).norm(dim=-1)
        assert apart.max() < grid.spacing_mm
        mean_apart = (made.mean_mm_ - truth_mm).norm(dim=-1)
        assert apart.max() < mean_apart.min() / 2

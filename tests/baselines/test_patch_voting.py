import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from pin_lightning.baselines.base import Problem
from pin_lightning.baselines.heatmap import gaussians
from pin_lightning.baselines.patch_voting import (
    DisplacementSpace,
    PatchVoting,
    ShapeSpace,
    even_positions_mm,
    mean_vote,
)
from pin_lightning.common.geometry import Grid

GRID = Grid((16, 12, 14), 2.0)
SMALL = {"widths": (4, 8), "hidden": (8,), "votes": 30, "patches": 8, "patch_side": 5}


def test_perfect_votes_meet_in_the_truth_whatever_their_weights():
    truth_mm = torch.tensor([[3.0, -2.0, 1.0], [0.0, 5.0, -4.0]])
    centres_mm = even_positions_mm((32.0, 24.0, 28.0), 60)
    for reach_mm in (0.5, 5.0, math.inf):
        found, spread = mean_vote(centres_mm, truth_mm - centres_mm[:, None], reach_mm)
        torch.testing.assert_close(found, truth_mm, atol=1e-5, rtol=0)
        assert (spread < 1e-4).all()


def test_a_vote_that_claims_to_be_near_counts_more_by_hand():
    centres_mm = torch.tensor([[0.0, 0, 0], [10.0, 0, 0]])
    claimed = torch.tensor([[[1.0, 0, 0]], [[-5.0, 0, 0]]])  # votes at 1 and 5
    found, spread = mean_vote(centres_mm, claimed, 4 / math.log(3))  # 4 mm farther: a third
    torch.testing.assert_close(found, torch.tensor([[2.0, 0, 0]]))
    assert float(spread) == pytest.approx(math.sqrt(0.75 * 1 + 0.25 * 9))
    found, spread = mean_vote(centres_mm, claimed, math.inf)
    torch.testing.assert_close(found, torch.tensor([[3.0, 0, 0]]))
    assert float(spread) == pytest.approx(2.0)


def test_the_mean_is_that_of_a_loop_over_votes():
    generator = torch.Generator().manual_seed(0)
    centres_mm = torch.randn(20, 3, generator=generator) * 20
    claimed = torch.randn(20, 2, 3, generator=generator) * 10
    found, spread = mean_vote(centres_mm, claimed, 3.0)
    for landmark in range(2):
        votes, weights = [], []
        for centre, claim in zip(centres_mm.double().numpy(), claimed.double(), strict=True):
            own = claim[landmark].numpy()
            votes.append(centre + own)
            weights.append(math.exp(-np.linalg.norm(own) / 3.0))
        mean = np.average(votes, axis=0, weights=weights)
        apart = ((np.array(votes) - mean) ** 2).sum(axis=1)
        np.testing.assert_allclose(found[landmark], mean, rtol=1e-4)
        expected = math.sqrt(np.average(apart, weights=weights))
        assert float(spread[landmark]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("most", [1, 7, 100, 1000])
def test_patches_cover_the_volume_evenly(most):
    extent = np.array([32.0, 24.0, 28.0])
    found = even_positions_mm(extent.tolist(), most).numpy()
    assert most / 3 <= len(found) <= most
    counts = np.array([len(np.unique(found[:, axis])) for axis in range(3)])
    assert counts.prod() == len(found)
    cell = extent / counts  # each is the middle of a cell of its own
    inside = (found + extent / 2) / cell
    np.testing.assert_allclose(inside - np.floor(inside), 0.5, atol=1e-4)
    assert len(np.unique(np.floor(inside), axis=0)) == len(found)


def test_displacements_are_in_units():
    found = DisplacementSpace(2, 10.0, 5).claims(torch.arange(12.0).view(2, 6))
    torch.testing.assert_close(found, 10 * torch.arange(12.0).view(2, 2, 3))


def test_a_shape_is_its_centre_and_its_parameters_as_scikit_learn_has_them():
    generator = torch.Generator().manual_seed(0)
    shapes_mm = torch.randn(6, 3, 3, generator=generator) * 5 + torch.tensor([9.0, 4.0, -7.0])
    space = ShapeSpace(3, 10.0, 4)
    assert space.num_outputs == 7
    space.learn(shapes_mm)
    outputs = torch.randn(2, 7, generator=generator)
    found = space.claims(outputs)
    centred = (shapes_mm - shapes_mm.mean(dim=1, keepdim=True)).flatten(1).double().numpy()
    pca = PCA(4, svd_solver="full").fit(centred)
    parameters = outputs[:, 3:].numpy() * np.sqrt(pca.explained_variance_)
    expected = pca.inverse_transform(parameters).reshape(2, 3, 3)
    expected = expected + 10 * outputs[:, None, :3].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found.mean(dim=1), 10 * outputs[:, :3], atol=1e-4)


def test_fewer_shapes_than_components_leave_outputs_without_effect():
    space = ShapeSpace(3, 10.0, 8)
    space.learn(torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0)))
    outputs = torch.randn(1, 11)
    other = outputs.clone()
    other[:, 5:] += 1
    torch.testing.assert_close(space.claims(outputs), space.claims(other))


def test_a_shape_needs_two_landmarks_and_two_cases():
    line = r"system\.space=shape: give displacements: there is only one"
    with pytest.raises(ValueError, match=line):
        PatchVoting(Problem(GRID, 1), space="shape")
    with pytest.raises(ValueError, match=r"system\.space=shape: .*one training case"):
        PatchVoting(Problem(GRID, 3), space="shape").learn_shapes(torch.zeros(1, 3, 3))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("most_voxels", 10),
        ("space", "heat"),
        ("components", 0),
        ("votes", 0),
        ("reach", 0.0),
        ("patches", 0),
        ("patch_side", 4),
        ("patch_spacings", [2, 2]),
    ],
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=rf"system\.{setting}="):
        PatchVoting(Problem(GRID, 2), **{setting: value})


@pytest.mark.parametrize("space", ["displacements", "shape"])
def test_what_was_learnt_is_loaded_and_found_again(space):
    torch.manual_seed(0)
    shapes_mm = torch.randn(5, 3, 3) * 4
    learnt = PatchVoting(Problem(GRID, 3), space=space, **SMALL)
    learnt.learn_shapes(shapes_mm)
    anew = PatchVoting(Problem(GRID, 3), space=space, **SMALL)
    anew.load_state_dict(learnt.state_dict())
    volumes = torch.randint(0, 256, (2, *GRID.size), dtype=torch.uint8)
    found, again = learnt.eval()(volumes), anew.eval()(volumes)
    torch.testing.assert_close(found.prediction_mm, again.prediction_mm)
    assert (found.spread_mm > 0).all()
    alone = anew(volumes[1:])
    torch.testing.assert_close(found.prediction_mm[1:], alone.prediction_mm)


def test_the_loss_is_zero_only_for_true_displacements_and_leaves_out_missing_landmarks():
    system = PatchVoting(Problem(GRID, 2), **SMALL)
    volumes = torch.zeros(1, *GRID.size, dtype=torch.uint8)
    landmarks_mm = torch.tensor([[[1.0, 2, 3], [math.nan] * 3]])
    seen = {}

    def claims(pyramid, index, centres_mm):
        seen["centres"] = centres_mm
        right = landmarks_mm[0] - centres_mm[:, None]
        right[:, 1] = 77.0
        return right + seen.get("off", 0.0)

    system.claims = claims
    assert system.training_loss(volumes, landmarks_mm, torch.Generator())["vote_loss"] == 0
    seen["off"] = torch.tensor([3.0, 0.0, 4.0])
    loss = system.training_loss(volumes, landmarks_mm, torch.Generator())["vote_loss"]
    assert float(loss) == pytest.approx(5 / system.unit_mm)  # a mean, whatever the weights
    half = torch.tensor(GRID.extent_mm) / 2
    near = (seen["centres"] - landmarks_mm[0, 0]).norm(dim=-1) <= system.near_mm + 1e-4
    assert ((seen["centres"].abs() <= half).all(dim=-1) | near).all()
    none = torch.full((1, 2, 3), math.nan)
    assert system.training_loss(volumes, none, torch.Generator())["vote_loss"] == 0


def test_seven_patches_in_ten_lie_near_a_landmark_and_the_others_anywhere():
    system = PatchVoting(Problem(GRID, 1), **SMALL | {"patches": 4000})
    landmarks_mm = torch.tensor([[[5.0, -3.0, 2.0]]])
    centres_mm = system._draw(landmarks_mm, torch.Generator().manual_seed(0))[0]
    assert system.near_mm == pytest.approx(0.12 * (32 * 24 * 28) ** (1 / 3))
    near = (centres_mm - landmarks_mm[0]).norm(dim=-1) <= system.near_mm + 1e-4
    ball = 4 / 3 * math.pi * system.near_mm**3 / (32 * 24 * 28)  # of those all over the volume
    assert float(near.float().mean()) == pytest.approx(0.7 + 0.3 * ball, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["displacements", "shape"])
def test_one_volume_is_learnt_to_less_than_a_voxel(space):
    grid, truth_mm = Grid((20, 16, 18), 1.5), torch.tensor([[[4.2, -3.1, 2.0], [-6, 5, -4.4]]])
    torch.manual_seed(0)
    sizes = {"patches": 128, "patch_side": 9, "widths": (16, 32), "hidden": (64,), "votes": 300}
    made = PatchVoting(Problem(grid, 2), space=space, **sizes)
    made.learn_shapes(truth_mm + torch.tensor([[[0.0], [0.0]], [[1.0], [-1.0]]]))
    blobs = gaussians(grid.mm_to_ijk(truth_mm), torch.tensor([3.0, 5.0]), grid.size)
    volume = 10 * torch.rand(grid.size, generator=torch.Generator().manual_seed(0))
    volume = (volume + 120 * blobs[0, 0] + 100 * blobs[0, 1]).clamp(0, 255)[None]
    generator = torch.Generator().manual_seed(0)
    steps = 250
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, steps)
    for _ in range(steps):
        loss = made.training_loss(volume, truth_mm, generator)["vote_loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    apart = (made.eval()(volume).prediction_mm - truth_mm).norm(dim=-1)
    assert apart.max() < grid.spacing_mm

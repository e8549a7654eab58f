import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from pin_lightning.baselines.base import Problem
from pin_lightning.baselines.heatmap import gaussians
from pin_lightning.baselines.patch_classification import (
    PatchClassification,
    ShallowNetwork,
    balanced_loss,
    mean_of_best,
)
from pin_lightning.baselines.patches import PatchCutter
from pin_lightning.common.geometry import Grid

GRID = Grid((16, 12, 14), 2.0)
SMALL = {"widths": (4, 8), "hidden": (8,), "shallow_width": 4, "shallow_side": 3, "patch_side": 5}


def test_the_shallow_network_is_one_hidden_layer_on_the_patch_of_each_voxel():
    torch.manual_seed(0)
    grid = Grid((7, 6, 5), 1.0)
    network = ShallowNetwork(2, 5, 3)
    torch.nn.init.normal_(network.bias)
    volumes = torch.randint(0, 256, (2, *grid.size)).float()
    found = network(volumes)
    assert found.shape == (2, 2, *grid.size)
    voxels = torch.cartesian_prod(*[torch.arange(side) for side in grid.size])
    cutter = PatchCutter(grid, 5, [1])
    index = torch.arange(2).repeat_interleave(len(voxels))
    centres_mm = grid.ijk_to_mm(voxels.float()).repeat(2, 1)[:, None]
    patches = cutter.network_input(cutter.pyramid(volumes), index, centres_mm)[:, 0]
    hidden = torch.relu(patches.flatten(1) @ network.weight.flatten(1).T + network.bias)
    expected = hidden @ network.out.weight.flatten(1).T + network.out.bias
    expected = expected.view(2, *grid.size, 2).movedim(-1, 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_both_answers_count_alike_as_scikit_learn_weighs_them():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 20, generator=generator)
    there = torch.rand(2, 3, 20, generator=generator) < 0.1
    known = torch.rand(2, 3, 20, generator=generator) < 0.8
    truth = there[known].numpy()
    weight = np.where(truth, 1 / truth.sum(), 1 / (~truth).sum())
    expected = log_loss(truth, torch.sigmoid(logits[known]).double(), sample_weight=weight)
    assert float(balanced_loss(logits, there, known)) == pytest.approx(expected, rel=1e-5)


def test_the_loss_by_hand():
    logits = torch.tensor([math.log(3), 0.0, 0.0, 50.0])  # probabilities 3/4, 1/2, 1/2
    there = torch.tensor([True, False, False, False])
    known = torch.tensor([True, True, True, False])
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert float(balanced_loss(logits, there, known)) == pytest.approx(expected)
    assert balanced_loss(logits, there, torch.zeros(4, dtype=torch.bool)) == 0


def test_the_mean_of_the_best_by_hand():
    centres_mm = torch.tensor([[[0.0, 0, 0], [4.0, 0, 0], [0, 90.0, 0], [0, 0, 90.0]]])
    # Probabilities 3/4, 1/4 and less, which do not count.
    logits = torch.tensor([[math.log(3), -math.log(3), -9.0, -9.0]])
    found, spread = mean_of_best(centres_mm, logits, 2, 200.0)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0, 0]]))
    assert float(spread) == pytest.approx(math.sqrt(0.75 * 1 + 0.25 * 9))


def test_places_apart_are_not_averaged_but_the_more_probable_part_counts():
    centres_mm = torch.tensor([[[50.0, 0, 0], [0.0, 0, 0], [2.0, 0, 0]]])
    logits = torch.tensor([[9.0, 0.0, 0.0]])  # 1 beside 1/2 and 1/2
    found, spread = mean_of_best(centres_mm, logits, 3, 5.0)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0, 0]]))
    assert float(spread) == pytest.approx(1.0)
    found, _ = mean_of_best(centres_mm, logits, 3, 1.0)
    torch.testing.assert_close(found, torch.tensor([[50.0, 0, 0]]))


def test_the_mean_is_that_of_a_loop_over_places():
    generator = torch.Generator().manual_seed(0)
    centres_mm = torch.randn(2, 12, 3, generator=generator)
    logits = torch.randn(2, 12, generator=generator) * 4
    found, _ = mean_of_best(centres_mm, logits, 5, 200.0)
    for landmark in range(2):
        best = np.argsort(-logits[landmark].numpy())[:5]
        weights = 1 / (1 + np.exp(-logits[landmark].double().numpy()[best]))
        expected = np.average(centres_mm[landmark].numpy()[best], axis=0, weights=weights)
        np.testing.assert_allclose(found[landmark], expected, rtol=1e-4, atol=1e-5)


def test_a_landmark_that_nothing_looks_like_has_a_place_all_the_same():
    found, spread = mean_of_best(torch.rand(1, 4, 3), torch.full((1, 4), -200.0), 3, 1.0)
    assert torch.isfinite(found).all()
    assert torch.isfinite(spread).all()


def test_patches_are_drawn_at_about_and_where_the_shallow_network_sees_the_landmark():
    system = PatchClassification(Problem(GRID, 2), patches=40, candidates=2, averaged=1, **SMALL)
    grid = system.coarse_grid
    voxels_mm = grid.ijk_to_mm(
        torch.cartesian_prod(*[torch.arange(float(side)) for side in grid.size])
    )
    scores = torch.zeros(1, 2, len(voxels_mm))
    scores[:, :, [5, 17]] = 1.0
    landmarks_mm = torch.tensor([[[1.0, 2, 3], [-4.0, 0, 1]]])
    generator = torch.Generator().manual_seed(0)
    found = system._draw(scores, landmarks_mm, voxels_mm, generator)
    apart = (found - landmarks_mm[:, :, None]).norm(dim=-1)
    assert (apart[..., :10] <= system.radius_mm).all()
    assert (apart[..., 10:20] >= system.radius_mm - 1e-4).all()
    assert (apart[..., 10:20] <= 3 * system.radius_mm + 1e-4).all()
    hard = found[0, :, 20:].flatten(0, 1)
    assert (torch.cdist(hard, voxels_mm[[5, 17]]).min(dim=1).values < 1e-4).all()


def test_each_landmark_is_scored_at_places_of_its_own():
    torch.manual_seed(0)
    system = PatchClassification(Problem(GRID, 2), **SMALL).eval()
    torch.nn.init.normal_(system.network.heads)
    volumes = torch.randint(0, 256, (2, *GRID.size), dtype=torch.uint8)
    centres_mm = torch.rand(2, 2, 3, 3) * 16 - 8
    found = system.deep_scores(volumes, centres_mm)
    for volume in range(2):
        pyramid = system.cutter.pyramid(volumes[volume][None])
        for landmark in range(2):
            for place in range(3):
                at = centres_mm[volume, landmark, place].view(1, 1, 3)
                patch = system.cutter.network_input(pyramid, torch.zeros(1).long(), at)
                expected = system.network.outputs(patch, [landmark]).flatten()[0]
                torch.testing.assert_close(found[volume, landmark, place], expected)


def test_missing_landmarks_count_for_nothing():
    torch.manual_seed(0)
    system = PatchClassification(Problem(GRID, 2), **SMALL)
    volumes = torch.randint(0, 256, (2, *GRID.size), dtype=torch.uint8)
    losses = system.training_loss(volumes, torch.full((2, 2, 3), math.nan), torch.Generator())
    assert {name: float(one.detach()) for name, one in losses.items()} == {
        "shallow_loss": 0,
        "deep_loss": 0,
    }
    landmarks_mm = torch.zeros(2, 2, 3)
    landmarks_mm[0, 1] = math.nan
    losses = system.training_loss(volumes, landmarks_mm, torch.Generator())
    assert all(0 < float(one.detach()) < 2 for one in losses.values())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("most_voxels", 10),
        ("coarse", 0),
        ("radius", 0.5),
        ("shallow_side", 4),
        ("shallow_width", 0),
        ("candidates", 0),
        ("averaged", 61),
        ("patches", 3),
        ("patch_side", 4),
        ("patch_spacings", []),
    ],
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=rf"system\.{setting}="):
        PatchClassification(Problem(GRID, 2), **{setting: value})


def test_volumes_are_found_alike_alone_and_together():
    torch.manual_seed(0)
    system = PatchClassification(Problem(GRID, 2), **SMALL).eval()
    torch.nn.init.normal_(system.network.heads)
    volumes = torch.randint(0, 256, (2, *GRID.size), dtype=torch.uint8)
    both = system(volumes)
    assert both.prediction_mm.shape == (2, 2, 3)
    assert (both.spread_mm > 0).all()
    torch.testing.assert_close(system(volumes[1:]).prediction_mm, both.prediction_mm[1:])


@pytest.mark.slow
def test_one_volume_is_learnt_to_less_than_a_voxel():
    grid, truth_mm = Grid((20, 16, 18), 1.5), torch.tensor([[[4.2, -3.1, 2.0], [-6, 5, -4.4]]])
    torch.manual_seed(0)
    sizes = {"patches": 24, "patch_side": 9, "widths": (8, 16), "hidden": (32,)}
    made = PatchClassification(Problem(grid, 2), shallow_side=5, shallow_width=8, **sizes)
    blobs = gaussians(grid.mm_to_ijk(truth_mm), torch.tensor([1.5, 2.5]), grid.size)
    volume = 60 * torch.rand(grid.size, generator=torch.Generator().manual_seed(0))
    volume = (volume + 150 * blobs[0, 0] + 100 * blobs[0, 1]).clamp(0, 255)[None]
    generator = torch.Generator().manual_seed(0)
    steps = 200
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, steps)
    for _ in range(steps):
        loss = torch.stack(list(made.training_loss(volume, truth_mm, generator).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    apart = (made.eval()(volume).prediction_mm - truth_mm).norm(dim=-1)
    assert apart.max() < grid.spacing_mm

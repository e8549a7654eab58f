import math

import numpy as np
import pytest
import torch
from scipy import stats

from pin_lightning.common.geometry import Grid
from pin_lightning.method.sampling import Approach, OnTrajectories, Scatter
from pin_lightning.method.shape_models import IdentityShapeModel, PCAShapeModel, PointsShapeModel
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.samples.sampler import ShapePatchSampler

GRID = Grid((20, 18, 16), 2.0)
SHAPES = 4 * torch.randn(8, 3, 3, generator=torch.Generator().manual_seed(0))


def points():
    return PointsShapeModel().fit(SHAPES, GRID.extent_mm)


def drawn(sampling, model, count=4000, seed=0):
    truth = model.encode(SHAPES[:1, : model.num_landmarks]).expand(count, -1)
    generator = torch.Generator().manual_seed(seed)
    return truth, sampling.draw(model, truth, GRID.spacing_mm, generator)


def test_scales_are_log_uniform_between_two_numbers_of_voxels():
    _, (_, scale_mm) = drawn(Scatter(0.5, 9.0), points())
    assert scale_mm.shape == (4000, 3)
    voxels = (scale_mm / GRID.spacing_mm).numpy()
    uniform = stats.loguniform(0.5, 9.0)
    assert all(stats.kstest(voxels[:, one], uniform.cdf).pvalue > 1e-3 for one in range(3))
    assert abs(np.corrcoef(voxels.T) - np.eye(3)).max() < 0.06  # each landmark has its own


@pytest.mark.parametrize("common", [0.0, 0.5, 1.0])
def test_points_are_normal_around_the_truth_and_partly_move_together(common):
    truth, (parameters, scale_mm) = drawn(Scatter(0.5, 9.0, common), points())
    standard = (parameters - truth).unflatten(1, (3, 3)) / scale_mm[..., None]
    for landmark in range(3):
        for axis in range(3):
            assert stats.kstest(standard[:, landmark, axis], "norm").pvalue > 1e-3
    correlation = np.corrcoef(standard[:, :, 0].T)
    np.testing.assert_allclose(correlation[np.triu_indices(3, 1)], common, atol=0.06)


def test_one_group_has_one_scale_and_stays_in_the_shape_space():
    for kind, shapes in ((PCAShapeModel(4), SHAPES), (IdentityShapeModel(), SHAPES[:, :1])):
        model = kind.fit(shapes, GRID.extent_mm)
        truth, (parameters, scale_mm) = drawn(Scatter(1.0, 1.0), model, count=200)
        assert parameters.shape == truth.shape
        torch.testing.assert_close(scale_mm, torch.full((200, 1), GRID.spacing_mm))


def samples(sampling, spacings=(1,), augmentation=Augmentation()):  # noqa: B008 (frozen)
    settings = (GRID, 5, "nearest", sampling, augmentation, 0)
    drawing = ShapePatchSampler(points(), *settings, patch_spacings=spacings)
    generator = torch.Generator().manual_seed(0)
    volumes = torch.randint(1, 256, (2, *GRID.size), generator=generator, dtype=torch.uint8)
    index = torch.tensor([0, 1, 1, 0])
    pyramid = drawing.pyramid(volumes)
    return drawing, pyramid, index, drawing.samples(pyramid, index, SHAPES[index])


def test_a_batch_has_the_patches_of_every_spacing():
    drawing, pyramid, index, batch = samples(Scatter(), (1, 3))
    fine, coarse = drawing.cut(pyramid, index, batch["parameters"])
    assert batch["patches"].shape == (4, 18, 5, 5)
    each = batch["patches"].unflatten(1, (3, 2, 3))
    assert torch.equal(each[:, :, 0].flatten(1, 2), fine)
    assert torch.equal(each[:, :, 1].flatten(1, 2), coarse)


def test_all_spacings_of_a_sample_have_the_same_change_of_intensity():
    *_, plain = samples(Scatter(), (1, 3))
    *_, bright = samples(Scatter(), (1, 3), Augmentation.of(gain_sd=0.1))
    ratio = bright["patches"].float() / plain["patches"]
    seen = (plain["patches"] > 60) & (bright["patches"] < 250)
    for one in range(4):
        ratios, shown = (of[one].unflatten(0, (3, 2, 3)) for of in (ratio, seen))
        fine, coarse = (ratios[:, level][shown[:, level]] for level in (0, 1))
        assert fine.median().item() == pytest.approx(coarse.median().item(), abs=0.02)


def test_the_largest_scale_is_twice_the_scatter_of_the_training_shapes():
    for model in (points(), PCAShapeModel(7).fit(SHAPES, GRID.extent_mm)):
        _, (_, scale_mm) = drawn(Scatter(0.1), model)
        variance = SHAPES.numpy().var(axis=0, ddof=1).mean()
        assert scale_mm.max().item() == pytest.approx(2 * variance**0.5, rel=0.02)
    # Shapes that hardly differ leave the smallest scale alone.
    same = PointsShapeModel().fit(SHAPES[:1].expand(3, -1, -1), GRID.extent_mm)
    _, (_, scale_mm) = drawn(Scatter(0.5), same)
    assert (scale_mm == 0.5 * GRID.spacing_mm).all()


def test_a_share_of_the_samples_lies_on_trajectories():
    model = points()
    sampling = OnTrajectories(Scatter(0.5, 0.5), 0.25)
    truth, (before, _) = drawn(sampling, model)  # nothing was followed yet
    assert (before - truth).abs().max() < 10
    offsets_mm = torch.zeros(2, 3, 3)
    offsets_mm[0, :, 0], offsets_mm[1, 1] = 100.0, torch.tensor([0.0, 30.0, 40.0])
    sampling.offsets_mm = offsets_mm
    truth, (parameters, scale_mm) = drawn(sampling, model)
    distance = (parameters - truth).unflatten(1, (3, 3)).norm(dim=2)
    first = torch.isclose(distance, torch.tensor(100.0)).all(dim=1)
    second = torch.isclose(distance[:, 1], torch.tensor(50.0))
    for kind in (first, second):
        assert kind.float().mean().item() == pytest.approx(0.125, abs=0.02)
    # The scale is the distance along each axis: 100 / sqrt(3); at least half a voxel where none.
    torch.testing.assert_close(scale_mm[first], torch.full_like(scale_mm[first], 100 / 3**0.5))
    expected = torch.tensor([GRID.spacing_mm / 2, 50 / 3**0.5, GRID.spacing_mm / 2])
    torch.testing.assert_close(scale_mm[second], expected.expand(int(second.sum()), -1))
    others = ~first & ~second
    assert distance[others].max() < 10
    assert (scale_mm[others] == 0.5 * GRID.spacing_mm).all()


def test_trajectories_of_a_pca_stay_in_its_space():
    model = PCAShapeModel(4).fit(SHAPES, GRID.extent_mm)
    sampling = OnTrajectories(Approach(0.0), 1.0)
    sampling.offsets_mm = 5 * torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(1))
    truth, (parameters, scale_mm) = drawn(sampling, model, 50)
    assert scale_mm is None
    possible = model.encode(model.mean_mm_ + sampling.offsets_mm)
    nearest = (parameters - truth)[:, None].sub(possible).norm(dim=2).amin(dim=1)
    assert nearest.max() < 1e-3


def test_null_takes_as_many_samples_as_have_256_groups():
    drawing = ShapePatchSampler(points(), GRID, 5, "nearest", Scatter(), Augmentation(), 0)
    assert drawing.batch_size(None) == 85  # 3 landmarks that move by themselves
    assert drawing.batch_size(7) == 7
    with pytest.raises(ValueError, match=r"loader\.batch_size=0"):
        drawing.batch_size(0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_missing_landmark_that_moves_by_itself_has_no_truth_and_changes_no_other(share):
    sampling = OnTrajectories(Scatter(), share)
    sampling.offsets_mm = torch.ones(1, 3, 3)
    complete = samples(sampling)[-1]
    drawing, pyramid, index, _ = samples(sampling)
    drawing.generator.manual_seed(0)
    landmarks_mm = SHAPES[index].clone()
    landmarks_mm[1, 2] = math.nan
    batch = drawing.samples(pyramid, index, landmarks_mm)
    truth = batch["true_parameters"].unflatten(1, (3, 3))
    assert torch.isnan(truth[1, 2]).all()
    assert torch.isfinite(batch["parameters"]).all()
    known = torch.isfinite(truth)
    assert (~known).sum() == 3
    for key in ("true_parameters", "parameters"):
        own, other = (one[key].unflatten(1, (3, 3))[known] for one in (batch, complete))
        assert torch.equal(own, other)


def test_in_a_mirror_image_the_other_side_is_missing():
    model = points()
    augmentation = Augmentation.of(flip_probability=1.0)
    augmentation = augmentation.for_landmarks(["l", "m", "r"], [("l", "r")])
    drawing = ShapePatchSampler(model, GRID, 5, "nearest", Scatter(), augmentation, 0)
    pyramid = drawing.pyramid(torch.ones(1, *GRID.size, dtype=torch.uint8))
    landmarks_mm = SHAPES[:1].clone()
    landmarks_mm[0, 0] = math.nan
    batch = drawing.samples(pyramid, torch.tensor([0]), landmarks_mm)
    missing = batch["true_parameters"].unflatten(1, (3, 3)).isnan().all(dim=2)
    assert missing.tolist() == [[False, False, True]]


def test_where_a_trajectory_does_not_know_a_landmark_the_other_sampling_draws_it():
    model = points()
    sampling = OnTrajectories(Scatter(0.5, 0.5), 1.0)
    sampling.offsets_mm = torch.full((1, 3, 3), 100.0)
    sampling.offsets_mm[0, 1] = math.nan
    truth, (parameters, scale_mm) = drawn(sampling, model, 50)
    offsets = (parameters - truth).unflatten(1, (3, 3))
    torch.testing.assert_close(offsets[:, ::2], torch.full((50, 2, 3), 100.0))
    assert offsets[:, 1].abs().max() < 10
    assert (scale_mm[:, 1] == 0.5 * GRID.spacing_mm).all()


REFUSED = {
    r"sampling\.smallest_voxels=0": lambda: Scatter(smallest_voxels=0.0),
    r"sampling\.largest_voxels=2": lambda: Scatter(smallest_voxels=3.0, largest_voxels=2.0),
    r"sampling\.common_share=1\.5": lambda: Scatter(common_share=1.5),
    r"model\.trajectory_share=-0\.1": lambda: OnTrajectories(Scatter(), -0.1),
    r"model\.approach_fraction=2": lambda: Approach(2.0),
}


@pytest.mark.parametrize(("words", "make"), REFUSED.items())
def test_settings_out_of_range_are_refused(words, make):
    with pytest.raises(ValueError, match=words):
        make()

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from pin_lightning.method.shape_models import IdentityShapeModel, PCAShapeModel, PointsShapeModel

EXTENT = (60.0, 40.0, 80.0)


@pytest.fixture
def shapes():
    generator = torch.Generator().manual_seed(0)
    modes = torch.randn(6, 12, generator=generator)
    sizes = torch.tensor([8.0, 4, 2, 1, 0.5, 0.1])
    weights = torch.randn(20, 6, generator=generator) * sizes
    return (weights @ modes).unflatten(1, (4, 3)) + 10


def generator():
    return torch.Generator().manual_seed(1)


def test_pca_against_an_eigendecomposition_in_numpy(shapes):
    flat = shapes.flatten(1).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(flat.T))
    model = PCAShapeModel(4).fit(shapes, EXTENT)
    np.testing.assert_allclose(model.sd_, np.sqrt(values[::-1][:4]), rtol=1e-4)
    alignment = np.abs(model.modes_.numpy() @ vectors[:, ::-1][:, :4])
    np.testing.assert_allclose(alignment, np.eye(4), atol=1e-3)


def test_pca_by_hand():
    shapes = torch.tensor([[[1.0, 0, 0]], [[-1.0, 0, 0]], [[0.0, 0, 0]]]) + torch.tensor([5, 6, 7])
    model = PCAShapeModel(1).fit(shapes, EXTENT)
    assert model.mean_mm_.tolist() == [[5, 6, 7]]
    assert model.sd_.item() == pytest.approx(1.0)  # variance 2 / (3 - 1)
    assert model.encode(shapes).abs().flatten().tolist() == pytest.approx([1, 1, 0])
    # One unit of b is one mm of landmark motion.
    assert model.decode(torch.tensor([2.0])).sub(model.mean_mm_).norm().item() == pytest.approx(2)


def test_pca_explains_the_share_of_variance_asked_for(shapes):
    ratios = np.cumsum(PCA().fit(shapes.flatten(1).numpy()).explained_variance_ratio_)
    for share in (0.5, 0.9, 0.995):
        model = PCAShapeModel(share).fit(shapes, EXTENT)
        assert model.num_parameters == int(np.searchsorted(ratios, share)) + 1
    assert PCAShapeModel().components == 0.995


def test_pca_samples_uniformly_within_3_sd(shapes):
    model = PCAShapeModel(3).fit(shapes, EXTENT)
    samples = model.sample(20000, generator()) / model.sd_
    assert samples.abs().max() <= 3
    # Uniform on [-3, 3]: mean 0, SD 3 / sqrt(3), and the same mass in each sixth.
    np.testing.assert_allclose(samples.mean(dim=0), 0, atol=0.05)
    np.testing.assert_allclose(samples.std(dim=0), 3**0.5, atol=0.03)
    counts = torch.histc(samples, bins=6, min=-3, max=3) / samples.numel()
    np.testing.assert_allclose(counts, 1 / 6, atol=0.01)


def test_identity_is_the_position_and_samples_the_whole_volume():
    positions = torch.randn(5, 1, 3, generator=generator())
    model = IdentityShapeModel().fit(positions, EXTENT)
    assert torch.equal(model.encode(positions), positions[:, 0])
    assert torch.equal(model.decode(model.encode(positions)), positions)
    torch.testing.assert_close(model.mean_mm_, positions.mean(dim=0))
    samples = model.sample(20000, generator())
    half = torch.tensor(EXTENT) / 2
    assert (samples.abs() <= half).all()
    np.testing.assert_allclose(samples.abs().amax(dim=0), half, rtol=0.01)
    np.testing.assert_allclose(samples.std(dim=0), 2 * half / 12**0.5, rtol=0.02)


def test_identity_has_19_starts_a_quarter_of_the_volume_apart():
    model = IdentityShapeModel().fit(torch.zeros(2, 1, 3), EXTENT)
    starts = model.starts(19, generator())
    assert not starts[0].any()
    assert starts.unique(dim=0).shape == (19, 3)
    steps = starts / (torch.tensor(EXTENT) / 4)
    axes_used = steps.abs().sum(dim=1).round().int().tolist()
    assert axes_used == [0] + 6 * [1] + 12 * [2]
    assert torch.equal(steps.abs().round(), steps.abs())
    assert torch.equal(model.starts(7, generator()), starts[:7])
    for count in (0, 20):
        with pytest.raises(ValueError, match=f"num_starts={count}"):
            model.starts(count, generator())


REFUSED = {
    "one shape for PCA": (PCAShapeModel, 1, "shape=pca: needs at least 2 .* give model=shared"),
    "several landmarks": (IdentityShapeModel, 20, "shape=identity"),
}


@pytest.mark.parametrize(("model", "count", "words"), REFUSED.values(), ids=REFUSED)
def test_shapes_a_model_cannot_learn_from_are_refused(shapes, model, count, words):
    with pytest.raises(ValueError, match=words):
        model().fit(shapes[:count], EXTENT)


def test_points_are_distances_from_the_mean_positions(shapes):
    model = PointsShapeModel().fit(shapes, EXTENT)
    assert model.num_parameters == 12
    assert model.num_groups == model.num_landmarks == 4
    np.testing.assert_allclose(model.mean_mm_, shapes.numpy().mean(axis=0), rtol=1e-5)
    assert torch.equal(model.encode(shapes), (shapes - model.mean_mm_).flatten(1))
    torch.testing.assert_close(model.decode(model.encode(shapes)), shapes)
    variance = shapes.double().numpy().var(axis=0, ddof=1).mean(axis=1)
    np.testing.assert_allclose(model.sd_.view(4, 3), np.sqrt(variance)[:, None].repeat(3, 1), 1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 20])
def test_scatter_of_few_points_is_at_least_a_share_of_a_usual_one(shapes, count):
    """By hand: a share of 1, 3/4, 1/2, 1/4 and 0 of (3 % of the largest extent) squared."""
    model = PointsShapeModel().fit(shapes[:count], EXTENT)
    mean = shapes[:count].double().numpy().mean(axis=0)
    usual = (0.03 * (mean.max(axis=0) - mean.min(axis=0)).max()) ** 2
    own = shapes[:count].double().numpy().var(axis=0, ddof=min(1, count - 1)).mean(axis=1)
    share = max(0.0, (5 - count) / 4)
    expected = np.maximum(own, share * usual + (1 - share) * own)
    np.testing.assert_allclose(model.sd_.view(4, 3)[:, 0] ** 2, expected, rtol=1e-4)
    assert (model.sd_ > 0).all()


def test_points_that_are_alike_or_single_still_scatter(shapes):
    alike = PointsShapeModel().fit(shapes[:1].expand(2, -1, -1), EXTENT)
    alone = PointsShapeModel().fit(shapes[:1], EXTENT)
    torch.testing.assert_close(alike.sd_, alone.sd_ * 0.75**0.5)
    # One landmark has no extent: that of the volume counts.
    single = PointsShapeModel().fit(shapes[:1, :1], EXTENT)
    torch.testing.assert_close(single.sd_, torch.full((3,), 0.03 * 80))


def test_points_start_at_the_mean_shape_and_move_as_a_whole_and_one_by_one(shapes):
    model = PointsShapeModel().fit(shapes, EXTENT)
    starts = model.starts(20001, generator())
    assert not starts[0].any()
    moved = starts[1:].unflatten(1, (4, 3))
    expected = (model.sd_.mean() ** 2 + model.sd_**2 / 4).sqrt().view(4, 3)
    np.testing.assert_allclose(moved.std(dim=0), expected, rtol=0.03)
    covariance = np.cov(moved[:, 0, 0], moved[:, 1, 0])[0, 1]
    assert covariance == pytest.approx(model.sd_.mean().item() ** 2, rel=0.05)
    assert torch.equal(model.starts(5, generator()), model.starts(5, generator()))
    with pytest.raises(ValueError, match="num_starts=0"):
        model.starts(0, generator())

"""Tests of the autoencoder alone; those it shares with PCA are in test_base.py."""

import logging

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from sklearn.decomposition import PCA

from pin_lightning.method.shape_models import AutoencoderShapeModel, PCAShapeModel
from pin_lightning.method.shape_models.autoencoder import _best
from pin_lightning.method.shape_models.recombination import recombine

EXTENT = (60.0, 40.0, 80.0)


def rods(count, seed, landmarks=6):
    """Rods of 50 mm, each bent to an arc of at most 2 radians."""
    generator = torch.Generator().manual_seed(seed)
    curvature = (4 * torch.rand(count, 1, generator=generator) - 2) / 50
    along = torch.linspace(-25, 25, landmarks)
    x = torch.sin(curvature * along) / curvature
    z = (1 - torch.cos(curvature * along)) / curvature
    return torch.stack([x, torch.zeros_like(x), z], dim=-1)


def flat_shapes(count, seed):
    """Shapes that vary in proportion to what is drawn, in a hundred ways."""
    generator = torch.Generator().manual_seed(seed)
    modes = torch.randn(8, 15, generator=torch.Generator().manual_seed(7))
    sizes = torch.tensor([8.0, 6, 4, 3, 2, 1, 0.5, 0.2])
    weights = torch.randn(count, 8, generator=generator) * sizes
    mean = 30 * torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(8))
    return (weights @ modes).unflatten(1, (5, 3)) + mean


def error_mm(model, shapes):
    return float((model.decode(model.encode(shapes)) - shapes).norm(dim=-1).mean())


@pytest.fixture(scope="module")
def bent():
    """Fitted to twenty bent rods."""
    return AutoencoderShapeModel(1, max_steps=150).fit(rods(20, 0), EXTENT)


def test_one_parameter_bends_unseen_rods_where_pca_cannot(bent):
    """Twenty shapes are enough."""
    unseen = rods(200, 1)
    pca = PCAShapeModel(1).fit(rods(20, 0), EXTENT)
    assert error_mm(bent, unseen) < 0.5 * error_mm(pca, unseen)
    # Along the axis of a rod bent either way its ends come closer, by the same: no line does that.
    parameters = torch.tensor([[-2.0], [0.0], [2.0]]) * bent.sd_
    length = bent.decode(parameters)[:, [0, -1]].diff(dim=1)[:, 0, 0]
    assert length[1] - length[0] > 3
    assert length[1] - length[2] > 3


def test_without_training_it_is_scikit_learns_pca():
    shapes, unseen = flat_shapes(20, 0), flat_shapes(50, 1)
    model = AutoencoderShapeModel(3, max_steps=0, recombine_poses=False).fit(shapes, EXTENT)
    reference = PCA(3).fit(shapes.flatten(1).numpy())
    encoded = reference.transform(unseen.flatten(1).numpy())
    np.testing.assert_allclose(model.encode(unseen).abs(), np.abs(encoded), atol=1e-3)
    decoded = reference.inverse_transform(encoded)
    np.testing.assert_allclose(model.decode(model.encode(unseen)).flatten(1), decoded, atol=1e-3)
    np.testing.assert_allclose(model.sd_, reference.explained_variance_**0.5, rtol=1e-4)


def test_shapes_that_do_not_bend_are_left_to_pca(caplog):
    shapes = flat_shapes(20, 0)
    with caplog.at_level(logging.INFO):
        model = AutoencoderShapeModel(4, max_steps=100, recombine_poses=False).fit(shapes, EXTENT)
    assert "4 parameters, network trained for 0 steps, each shape in its pose" in caplog.text
    assert not model.outer_.any()
    unseen = flat_shapes(100, 1)
    pca = PCAShapeModel(4).fit(shapes, EXTENT)
    assert error_mm(model, unseen) == pytest.approx(error_mm(pca, unseen), rel=1e-4)


def lying_anyhow(count, seed):
    """Shapes of little variation, turned and moved by chance."""
    draws = torch.Generator().manual_seed(seed)
    base = 30 * torch.randn(1, 8, 3, generator=torch.Generator().manual_seed(9))
    vectors = 0.2 * torch.randn(count, 3, generator=draws)
    turns = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix()).float()
    shapes = (base + torch.randn(count, 8, 3, generator=draws)) @ turns
    return shapes + 10 * torch.randn(count, 1, 3, generator=draws)


@pytest.fixture(scope="module")
def anyhow():
    """Fitted to twelve shapes in poses of chance, without a network."""
    return AutoencoderShapeModel(7, max_steps=0).fit(lying_anyhow(12, 0), EXTENT)


def test_poses_of_chance_are_recombined(anyhow):
    """With few shapes, PCA has not seen all poses."""
    unseen = lying_anyhow(40, 1)
    pca = PCAShapeModel(7).fit(lying_anyhow(12, 0), EXTENT)
    assert error_mm(anyhow, unseen) < 0.9 * error_mm(pca, unseen)


def test_parameters_are_white_over_recombined_shapes(anyhow):
    shapes = lying_anyhow(12, 0)
    many = torch.from_numpy(recombine(shapes.double().numpy(), 1000)).float()
    parameters = anyhow.encode(many)
    correlation = torch.corrcoef(parameters.T) - torch.eye(7)
    assert correlation.abs().max() < 1e-3
    larger = torch.maximum(parameters.std(dim=0), anyhow.encode(shapes).std(dim=0))
    torch.testing.assert_close(anyhow.sd_, larger, rtol=1e-3, atol=0)
    assert (anyhow.sd_.diff() <= 0).all()


def test_it_takes_as_many_parameters_as_pca():
    shapes = flat_shapes(20, 0)
    for share in (0.9, 0.995):
        model = AutoencoderShapeModel(share, max_steps=0).fit(shapes, EXTENT)
        assert model.num_parameters == PCAShapeModel(share).fit(shapes, EXTENT).num_parameters


def test_the_first_state_wins_unless_another_is_better_beyond_doubt():
    first = torch.tensor([1.0, 1.2, 0.8, 1.0])
    assert _best(torch.stack([first, first - 0.1])) == 1
    assert _best(torch.stack([first, first + 0.1])) == 0
    assert _best(torch.stack([first, first - torch.tensor([0.4, -0.2, 0.0, 0.0])])) == 0
    assert _best(torch.stack([first, first - 0.1, first - 0.2, first])) == 2


REFUSED = {
    "three shapes": ({}, (3, 5), "needs at least 4 training cases, not 3; use shape=pca"),
    "two landmarks": ({}, (9, 2), "needs at least 3 landmarks, not 2; use shape=pca"),
    "hidden": ({"hidden": 0}, (9, 5), r"shape\.hidden=0: give a whole number of at least 1"),
    "steps": ({"max_steps": True}, (9, 5), r"shape\.max_steps=True: give a whole number"),
    "seed": ({"seed": -1}, (9, 5), r"shape\.seed=-1: give a whole number of at least 0"),
}


@pytest.mark.parametrize(("settings", "size", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_cannot_work(settings, size, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderShapeModel(2, **settings).fit(torch.randn(*size, 3), EXTENT)


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # shares of no variance
def test_the_fewest_shapes_and_landmarks_it_takes_and_shapes_that_are_all_the_same():
    shapes = flat_shapes(4, 0)[:, :3]
    model = AutoencoderShapeModel(3, max_steps=10).fit(shapes, EXTENT)
    assert torch.isfinite(model.decode(model.encode(shapes))).all()
    assert torch.isfinite(model.sd_).all()
    shapes = flat_shapes(1, 0).repeat(6, 1, 1)
    model = AutoencoderShapeModel(2, max_steps=10).fit(shapes, EXTENT)
    torch.testing.assert_close(model.decode(model.encode(shapes)), shapes, atol=1e-3, rtol=0)

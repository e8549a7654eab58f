"""Tests of all shape models in which landmarks move together."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

from pin_lightning.method.shape_models import AutoencoderShapeModel, PCAShapeModel

EXTENT = (60.0, 40.0, 80.0)
TOGETHER = {
    "pca": PCAShapeModel,
    "autoencoder": partial(AutoencoderShapeModel, max_steps=50, recombine_poses=False),
}


def generator():
    return torch.Generator().manual_seed(1)


@pytest.fixture(params=TOGETHER)
def make(request):
    return TOGETHER[request.param]


def bent_shapes(count, seed):
    """Five landmarks of two modes and a third that is the square of the first, and noise."""
    draws = torch.Generator().manual_seed(seed)
    modes = torch.randn(3, 15, generator=torch.Generator().manual_seed(3))
    first, second = torch.randn(2, count, 1, generator=draws)
    weights = torch.cat([6 * first, 4 * second, 1.5 * first**2], dim=1)
    noise = 0.1 * torch.randn(count, 15, generator=draws)
    mean = 40 * torch.rand(5, 3, generator=torch.Generator().manual_seed(4))
    return (weights @ modes + noise).unflatten(1, (5, 3)) + mean


@pytest.fixture(scope="module", params=TOGETHER)
def bent(request):
    """A model of shapes that are bent, and its training shapes."""
    shapes = bent_shapes(60, 0)
    model = TOGETHER[request.param](2).fit(shapes, EXTENT)
    if isinstance(model, AutoencoderShapeModel):
        assert model.outer_.abs().max() > 0.1  # not linear
    return model, shapes


def test_parameters_of_training_shapes_are_white(bent):
    model, shapes = bent
    parameters = model.encode(shapes)
    torch.testing.assert_close(parameters.mean(dim=0), torch.zeros(2), atol=1e-3, rtol=0)
    covariance = parameters.T.cov()
    torch.testing.assert_close(covariance.diagonal().sqrt(), model.sd_, rtol=1e-3, atol=0)
    assert covariance[0, 1].abs() < 1e-3 * model.sd_.prod()
    assert model.sd_[0] > model.sd_[1]
    np.testing.assert_allclose(model.mean_mm_, shapes.mean(dim=0), atol=1e-4)


def test_a_unit_is_a_mm_of_landmark_motion(bent):
    model, shapes = bent
    each = [torch.func.jacrev(model.decode)(one) for one in model.encode(shapes)]
    squares = torch.stack(each).square().sum(dim=(1, 2)).mean(dim=0)
    torch.testing.assert_close(squares.sqrt(), torch.ones(2), rtol=1e-3, atol=0)


def test_decoding_gives_shapes_whose_parameters_these_are(bent):
    model, _ = bent
    parameters = model.sample(50, generator())
    again = model.encode(model.decode(parameters))
    torch.testing.assert_close(again, parameters, atol=1e-3, rtol=0)
    assert model.decode(torch.zeros(2)).sub(model.mean_mm_).norm(dim=-1).max() < model.sd_[0] / 2


def test_any_batch_has_a_shape(bent):
    model, shapes = bent
    for batch in ((), (1,), (2, 3), (0,)):
        parameters = torch.randn(*batch, 2, generator=generator())
        assert model.decode(parameters).shape == (*batch, 5, 3)
        assert model.encode(model.decode(parameters)).shape == (*batch, 2)
    each = torch.stack([model.encode(one) for one in shapes[:3]])
    torch.testing.assert_close(model.encode(shapes[:3]), each, atol=1e-4, rtol=1e-5)


def test_samples_and_starts_lie_within_3_sd(bent):
    model, _ = bent
    assert (model.sample(1000, generator()).abs() <= 3 * model.sd_).all()
    starts = model.starts(6, generator())
    assert not starts[0].any()
    assert (starts.abs() <= 3 * model.sd_).all()
    assert torch.equal(starts, model.starts(6, generator()))
    with pytest.raises(ValueError, match="num_starts=0"):
        model.starts(0, generator())


def test_fitting_is_repeatable_and_draws_from_no_global_generator(make):
    shapes = bent_shapes(12, 0)
    torch.manual_seed(5)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = make(2).fit(shapes, EXTENT)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    torch.manual_seed(6)
    again = make(2).fit(shapes.clone(), EXTENT)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_what_is_learnt_is_saved_moved_and_copied_but_not_trained(bent, tmp_path):
    fitted, shapes = bent
    assert not list(fitted.parameters())
    assert all(value.dtype == torch.float32 for value in fitted.state_dict().values())
    torch.save(fitted.state_dict(), tmp_path / "model.pt")
    loaded = type(fitted)()
    loaded.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    for other in (loaded, copy.deepcopy(fitted)):
        assert torch.equal(other.encode(shapes), fitted.encode(shapes))
        assert torch.equal(other.decode(other.encode(shapes)), fitted.decode(fitted.encode(shapes)))
    moved = copy.deepcopy(fitted).to("meta")
    assert moved.decode(torch.zeros(2, device="meta")).device.type == "meta"
    assert moved.encode(torch.zeros(5, 3, device="meta")).device.type == "meta"


@pytest.mark.parametrize("components", [0, -1, 2.5, 20, 1.0001])
def test_refuses_components_it_cannot_give(make, components):
    with pytest.raises(ValueError, match=r"shape\.components"):
        make(components).fit(bent_shapes(20, 0), EXTENT)


def test_shape_models_refuse_no_shapes_and_bad_coordinates(make):
    shapes = bent_shapes(20, 0)
    bad = shapes.clone()
    bad[3, 1, 2] = torch.nan
    for wrong, words in [(shapes[:0], "no training case"), (bad, "not finite")]:
        with pytest.raises(ValueError, match=words):
            make().fit(wrong, EXTENT)

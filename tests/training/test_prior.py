import pytest
import torch

from conftest import composed
from pin_lightning.method.shape_models import (
    AffineShapeModel,
    AutoencoderShapeModel,
    PCAShapeModel,
)
from pin_lightning.runs.model_parts import Part
from pin_lightning.runs.model_record import ModelRecord
from pin_lightning.training.prior import fit_prior

EXTENT = (60.0, 40.0, 80.0)


def config_of(*overrides):
    config = composed("model=shared", "data=phantom", "run_name=x", "run_dir=x", *overrides)
    config.overrides = list(overrides)
    return config


def shapes(count):
    return 10 * torch.randn(count, 10, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_shapes_have_affine_maps_and_the_record_says_so(count, caplog):
    caplog.set_level("INFO")
    config, made = config_of(), PCAShapeModel(0.98)
    prior = fit_prior(config, made, shapes(count), EXTENT)
    assert type(prior) is AffineShapeModel
    assert prior.components == 0.98
    assert made.num_parameters == 0  # a copy was fitted
    assert f"model.prior: affine maps of the mean shape, as only {count} train" in caplog.text
    record = ModelRecord.of_config(config)
    assert record.prior == Part("affine", {"components": 0.98})
    again = ModelRecord.of_json(record.to_json()).build("prior")
    again.load_state_dict(prior.state_dict())
    landmarks = shapes(3)
    assert torch.equal(again.decode(again.encode(landmarks)), prior.decode(prior.encode(landmarks)))


def test_enough_shapes_or_a_prior_that_is_asked_for_change_nothing():
    config = config_of()
    prior = fit_prior(config, PCAShapeModel(0.98), shapes(5), EXTENT)
    expected = PCAShapeModel(0.98).fit(shapes(5), EXTENT)
    assert type(prior) is PCAShapeModel
    assert torch.equal(prior.modes_, expected.modes_)
    assert ModelRecord.of_config(config).prior.name == "pca"
    for asked in ("model.prior.components=1", "model.prior_share=0.5"):
        kind = type(fit_prior(config_of(asked), PCAShapeModel(1), shapes(2), EXTENT))
        assert (kind is PCAShapeModel) == (asked == "model.prior.components=1")
    assert fit_prior(config_of("model.prior=null"), None, shapes(1), EXTENT) is None


def test_a_prior_that_cannot_be_fitted_is_named():
    asked = config_of("model.prior.components=0.9")
    with pytest.raises(ValueError, match=r"^model\.prior: shape=pca: needs at least 2 .*presets"):
        fit_prior(asked, PCAShapeModel(0.9), shapes(1), EXTENT)
    with pytest.raises(ValueError, match=r"^model\.prior: shape=autoencoder: needs at least 4"):
        fit_prior(config_of(), AutoencoderShapeModel(), shapes(2), EXTENT)

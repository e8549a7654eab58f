"""What a config asks for is built once, and what the data decide is fitted once."""

import functools
from collections import Counter

import pytest
from hydra._internal.instantiate import _instantiate2

from conftest import composed
from pin_lightning.method.networks import CompactNetwork
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

SHORT = ["trainer.max_steps=2", "trainer.val_check_interval=2", "model.prior=${shape}"]
SHARED = {"PCAShapeModel": 2, "RuleB": 1, "Approach": 1, "SquaredError": 1, "of": 1}  # prior, too


@pytest.fixture
def built(monkeypatch):
    """Names of what Hydra builds, networks, and ``fit`` for each fit of a PCA."""
    built, call, fit = Counter(), _instantiate2._call_target, PCAShapeModel.fit

    def counted(target, *args):
        built[getattr(target, "__name__", str(target))] += 1
        return call(target, *args)

    def fitted(model, *args):
        built["fit"] += 1
        return fit(model, *args)

    def network(self, *args, **settings):
        built["CompactNetwork"] += 1
        make(self, *args, **settings)

    make = CompactNetwork.__init__
    monkeypatch.setattr(CompactNetwork, "__init__", functools.wraps(make)(network))
    monkeypatch.setattr(_instantiate2, "_call_target", counted)
    monkeypatch.setattr(PCAShapeModel, "fit", fitted)
    return built


def test_a_training_builds_each_part_once(built, short_settings, tmp_path):
    train(composed(*short_settings, *SHORT), tmp_path)
    of_training = {"CompactNetwork": 1, "AdamW": 1, "OneCycleLR": 1, "ResidentLoader": 1}
    # One Trainer is only asked whether its settings can be, before the data are read.
    rest = {"find_cases": 1, "Trainer": 2, "fit": 2}
    assert built == SHARED | of_training | rest


def test_folds_share_what_the_config_asks_for_and_are_fitted_once(built, short_settings, tmp_path):
    folds = ["data.split.folds=3", "calibration.coverage=0.8"]
    config = composed(*short_settings, *SHORT, *folds, config_name="cross_validate")
    cross_validate(config, tmp_path)
    of_folds = {"AdamW": 3, "OneCycleLR": 3, "ResidentLoader": 3}
    # A network more, which is refused before anything is written.
    rest = {"CompactNetwork": 4, "find_cases": 1, "Trainer": 4, "fit": 6}
    assert built == SHARED | of_folds | rest

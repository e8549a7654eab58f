"""Small localizers of every kind, untrained but on the move, to be exported."""

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.networks import CompactNetwork, SharedNetwork
from pin_lightning.method.shape_models import (
    AutoencoderShapeModel,
    IdentityShapeModel,
    PCAShapeModel,
    PointsShapeModel,
)
from pin_lightning.method.update_rules import RuleA, RuleB, RuleC

GRID = Grid((20, 17, 14), 1.5)
NAMES = ("a", "b ü", "c")


def shapes(landmarks=3):
    generator = torch.Generator().manual_seed(0)
    return 4 * torch.randn(8, landmarks, 3, generator=generator)


def pca(model=None, **settings):
    """Starts that stop at different times."""
    model = (model or PCAShapeModel(3)).fit(shapes(), GRID.extent_mm)
    network = CompactNetwork(9, 3, 5, widths=(4, 4), hidden=(8,), dropout=0.1)
    network.displacement_head[-1].weight.data.mul_(4)
    defaults = {"update_rule": RuleB(6), "num_starts": 3, "tolerance_mm": 3.0}
    return made(network, model, **defaults | settings)


def autoencoder():
    made = pca(AutoencoderShapeModel(3, max_steps=0))
    made.shape_model.outer_.normal_(std=2.0)  # bends, whatever it has learnt
    return made


def identity():
    model = IdentityShapeModel().fit(shapes(1), GRID.extent_mm)
    network = CompactNetwork(3, 3, 5, widths=(4, 4), hidden=(8,), dropout=0.1)
    return made(network, model, update_rule=RuleC(3), num_starts=19, displacement_unit="sd")


def points(**settings):
    """Each landmark by itself, at two spacings, held by a prior at first."""
    model = PointsShapeModel().fit(shapes(), GRID.extent_mm)
    network = SharedNetwork(18, 9, 5, widths=(4, 4), hidden=(8,))
    torch.nn.init.normal_(network.heads, std=0.5)
    prior = PCAShapeModel(2).fit(shapes(), GRID.extent_mm)
    defaults = {"update_rule": RuleB(5), "prior": prior, "prior_share": 0.6, "num_starts": 2}
    cut = {"interpolation": "linear", "patch_spacings": (1, 3), "tolerance_mm": 3.0}
    return made(network, model, **defaults | cut | settings)


def made(network, model, update_rule, **settings):
    for parameter in network.parameters():
        parameter.data.mul_(2)
    return Localizer(network, model, update_rule, GRID, 5, **settings).eval()


def cascade():
    second = points(prior=None, update_rule=RuleC(3))
    second.first_stage = pca(update_rule=RuleA(20), tolerance_mm=0.0)
    return second


def folds():
    return Ensemble([pca(num_starts=2), cascade()])


KINDS = {f.__name__: f for f in (pca, autoencoder, identity, points, cascade, folds)}


def build(kind):
    torch.manual_seed(0)
    return KINDS[kind]()

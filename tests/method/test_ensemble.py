import numpy as np
import pytest
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.method.ensemble import Ensemble, merge
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.networks import CompactNetwork
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.method.trajectory import Trajectory
from pin_lightning.method.update_rules import RuleB

GRID = Grid((20, 18, 16), 1.0)


def member(seed, grid=GRID, landmarks=4, **settings):
    generator = torch.Generator().manual_seed(seed)
    shapes = torch.randn(6, landmarks, 3, generator=generator)
    model = PCAShapeModel(2).fit(shapes, grid.extent_mm)
    torch.manual_seed(seed)
    network = CompactNetwork(3 * landmarks, 2, 5, widths=[4], hidden=[8])
    return Localizer(network, model, RuleB(3), grid, 5, seed=seed, **settings).eval()


def test_paths_that_end_earlier_stay_where_they_ended():
    def path(steps, value):
        return Trajectory(
            landmarks_mm=torch.arange(float(steps)).view(1, steps, 1, 1, 1).expand(-1, -1, 2, 1, 3),
            iterations=torch.full((1, 2), steps - 1),
            prediction_mm=torch.full((1, 1, 3), value),
            spread_mm=torch.full((1, 1), 2.0),
            within_mm=torch.full((1, 1), 1.5),
        )

    both = merge([path(2, 0.0), path(4, 2.0)])
    assert both.landmarks_mm[0, :, :, 0, 0].T.tolist() == 2 * [[0, 1, 1, 1]] + 2 * [[0, 1, 2, 3]]
    assert both.iterations.tolist() == [[1, 1, 3, 3]]
    assert both.prediction_mm.tolist() == [[[1.0, 1.0, 1.0]]]
    # Within: 2 squared; between: each prediction lies 1 mm along each of three axes from the mean.
    np.testing.assert_allclose(both.spread_mm, [[(4 + 3) ** 0.5]], rtol=1e-6)
    assert both.within_mm.tolist() == [[1.5]]


def test_settings_reach_all():
    ensemble = Ensemble([member(0), member(1)])
    ensemble.set_starts(2)
    ensemble.set_dtype(torch.bfloat16)
    assert [one.num_starts for one in ensemble.members] == [2, 2]
    assert {one.network_dtype for one in ensemble.members} == {torch.bfloat16}
    ensemble.members[1].precision = "32-true"
    ensemble.members[0].precision = "bf16-mixed"
    ensemble.choose_dtype(torch.device("cpu"))
    dtypes = [one.network_dtype for one in ensemble.members]
    assert dtypes == [torch.bfloat16, torch.float32]
    means = [one.mean_shape_mm for one in ensemble.members]
    torch.testing.assert_close(ensemble.mean_shape_mm, sum(means) / 2)
    assert ensemble.grid == GRID
    with pytest.raises(ValueError, match="num_starts=0"):
        ensemble.set_starts(0)


def test_others_cannot_be_averaged():
    for other in ([member(1, Grid((9, 9, 9), 1.0))], [member(1, landmarks=3)]):
        with pytest.raises(ValueError, match="ensemble: "):
            Ensemble([member(0), *other])
    with pytest.raises(ValueError, match="ensemble: "):
        Ensemble([])

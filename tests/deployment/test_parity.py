import onnx
import pytest
import torch
from hand_made_onnx import GRID, Stepwise, stepwise
from small_localizers import build

from pin_lightning.deployment import parity
from pin_lightning.deployment.parity import (
    check_few_iterations,
    check_localizer,
    few_iterations,
    mostly,
)
from pin_lightning.deployment.volumes import synthetic_volumes
from pin_lightning.method.update_rules import RuleA, RuleB, RuleC

LIMIT_MM = 0.2
ALMOST = 1 - 2**-23  # one bit of float32


def volumes(*intensities):
    return torch.stack([torch.full(GRID.size, value, dtype=torch.uint8) for value in intensities])


def test_what_agrees_and_a_start_that_rounding_sends_elsewhere():
    worst_mm, diverged = check_localizer(Stepwise(), stepwise(), volumes(47, 9, 255), LIMIT_MM)
    assert worst_mm == 0.0
    assert torch.equal(diverged, torch.zeros(3, 2, dtype=torch.bool))
    # 200 is a whole number of tens, or with a bit less just below one.
    model = stepwise((1.0, ALMOST))
    worst_mm, diverged = check_localizer(Stepwise(), model, volumes(47, 200, 33), LIMIT_MM)
    assert diverged.tolist() == [[False, False], [False, True], [False, False]]
    assert worst_mm == pytest.approx(5 * 3**0.5)  # half of 10 mm along each axis


def test_how_many_starts_went_elsewhere():
    model = stepwise(2 * [ALMOST])
    assert mostly(check_localizer(Stepwise(), model, volumes(200, 100, 33), LIMIT_MM)[1])
    assert not mostly(check_localizer(Stepwise(), model, volumes(47, 33, 9), LIMIT_MM)[1])
    assert not mostly(torch.tensor([[True, False]]))


def test_few_iterations_of_all_stages_and_then_as_before():
    made = build("cascade")
    rules = (made.update_rule, made.first_stage.update_rule)
    with few_iterations(made):
        assert made.update_rule == RuleC(2)
        assert made.first_stage.update_rule == RuleA(2)
        assert made(synthetic_volumes(made.grid, 1, seed=0)).landmarks_mm.shape[1] <= 3
    assert (made.update_rule, made.first_stage.update_rule) == rules
    one = build("pca")
    one.update_rule = RuleB(1)
    with few_iterations(one):
        assert one.update_rule == RuleB(1)


def test_most_starts_may_not_go_elsewhere_in_few_iterations(monkeypatch):
    made, seen = build("pca"), []
    model = onnx.load_from_string(stepwise())
    monkeypatch.setattr(parity, "localizer_model", lambda graph, *_: model)
    diverged = torch.tensor([[True, False]])

    def check(graph, *_):
        seen.append(graph.localizer.update_rule.max_iterations)
        return 0.0, diverged

    monkeypatch.setattr(parity, "check_localizer", check)
    check_few_iterations(made, volumes(47), LIMIT_MM, 18)
    diverged[:] = True
    with pytest.raises(ValueError, match=r"differ in 2 of 2 starts .*tolerance\.voxels"):
        check_few_iterations(made, volumes(47), LIMIT_MM, 18)
    assert seen == [2, 2]
    assert made.update_rule == RuleB(6)


@pytest.mark.parametrize("weight", [(1.0, 0.5), (1.0, float("nan")), (1.0, 0.9)])
def test_a_file_that_was_tampered_with_is_refused(weight):
    words = r"differ in [12] of 4 starts \(which rounding does not explain\)"
    with pytest.raises(ValueError, match=words):
        check_localizer(Stepwise(), stepwise(weight), volumes(47, 99, 36), LIMIT_MM)


def test_means_that_are_not_those_of_the_starts_are_refused():
    assert check_localizer(Stepwise(), stepwise(shift=0.1), volumes(47), LIMIT_MM)
    with pytest.raises(ValueError, match="their mean or spread"):
        check_localizer(Stepwise(), stepwise(shift=0.3), volumes(47), LIMIT_MM)
    assert check_localizer(Stepwise(), stepwise(shift=0.3), volumes(47), 1.0)


def test_a_shaken_copy_is_close_and_leaves_the_original_alone():
    graph = Stepwise()
    copied = parity.shaken(graph, torch.Generator().manual_seed(0))
    change = (copied.weight / graph.weight - 1).abs()
    assert 0 < change.max() < 1e-5
    assert torch.equal(graph.weight, torch.ones_like(graph.weight))


@pytest.mark.parametrize("settings", [{"network": 0}, {"voxels": -1.0}, {"voxels": True}])
def test_refuses_a_tolerance(settings):
    with pytest.raises(ValueError, match=r"tolerance\.(network|voxels)="):
        parity.Tolerance(**settings)


def test_times():
    times = parity.seconds_per_volume(Stepwise(), stepwise(), volumes(47)[0])
    assert all(one > 0 for one in times)

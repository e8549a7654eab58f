import math

import pytest
import torch

from pin_lightning.method.update_rules import RuleA, RuleB, RuleC

# Two components; the probabilities of (+1, -1, +2, -2) are 0.2, 0.1, 0.1, 0.6.
DISPLACEMENT = torch.tensor([[2.0, -4.0]])
LOGITS = torch.tensor([[0.2, 0.1, 0.1, 0.6]]).log()


def test_rule_a_moves_one_voxel_in_the_most_probable_direction():
    assert RuleA().step(DISPLACEMENT, LOGITS, voxel_mm=0.5).tolist() == [[0.0, -0.5]]
    positive = torch.tensor([[0.6, 0.1, 0.1, 0.2]]).log()
    assert RuleA().step(DISPLACEMENT, positive, voxel_mm=0.5).tolist() == [[0.5, 0.0]]


def test_rule_b_moves_by_the_displacement():
    assert torch.equal(RuleB().step(DISPLACEMENT, LOGITS, voxel_mm=0.5), DISPLACEMENT)


def test_rule_c_weights_each_component_by_its_larger_probability():
    step = RuleC().step(DISPLACEMENT, LOGITS, voxel_mm=0.5)
    torch.testing.assert_close(step, torch.tensor([[0.2 * 2.0, 0.6 * -4.0]]))
    shifted = RuleC().step(DISPLACEMENT, LOGITS + 3.0, voxel_mm=0.5)  # one softmax over all classes
    torch.testing.assert_close(shifted, step)


def test_rule_a_oscillates_around_a_target_between_voxels():
    target, position, path = 2.3, torch.zeros(1, 1), []
    for _ in range(8):
        towards = torch.sign(target - position)
        logits = torch.cat([towards, -towards], dim=1)
        position = position + RuleA().step(torch.zeros(1, 1), logits, voxel_mm=1.0)
        path.append(position.item())
    assert path == [1, 2, 3, 2, 3, 2, 3, 2]


@pytest.mark.parametrize(("rule", "iterations"), [(RuleA, 350), (RuleB, 10), (RuleC, 10)])
def test_iterations_of_the_paper(rule, iterations):
    assert rule().max_iterations == iterations


def test_rule_c_is_rule_b_when_the_direction_is_certain():
    logits = torch.tensor([[math.inf, 0.0]]).nan_to_num(posinf=1e4)
    assert RuleC().step(torch.tensor([[2.5]]), logits, 1.0).tolist() == [[2.5]]

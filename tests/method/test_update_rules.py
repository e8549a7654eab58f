import pytest
import torch

from pin_lightning.method.update_rules import RuleA, RuleB, RuleC

# Two components; probabilities of (+1, -1, +2, -2).
LOGITS = torch.tensor([[0.2, 0.1, 0.1, 0.6], [0.6, 0.1, 0.1, 0.2]]).log()
STEPS = {RuleA: [[0.0, -0.5], [0.5, 0.0]], RuleB: [[2.0, -4.0], [2.0, -4.0]]}
STEPS[RuleC] = [[0.2 * 2.0, 0.6 * -4.0], [0.6 * 2.0, 0.2 * -4.0]]


@pytest.mark.parametrize(("rule", "iterations"), [(RuleA, 350), (RuleB, 10), (RuleC, 10)])
def test_steps_by_hand_and_the_iterations_of_the_paper(rule, iterations):
    assert rule().max_iterations == iterations
    displacement = torch.tensor([[2.0, -4.0]]).repeat(2, 1)
    for shift in (0.0, 3.0):  # one softmax over all classes
        step = rule().step(displacement, LOGITS + shift, voxel_mm=0.5)
        torch.testing.assert_close(step, torch.tensor(STEPS[rule]))

import pytest
import torch

from pin_lightning.method.update_rules import RuleA, RuleB, RuleC

# Two components; the probabilities of (+1, -1, +2, -2) are 0.2, 0.1, 0.1, 0.6.
DISPLACEMENT = torch.tensor([[2.0, -4.0]])
LOGITS = torch.tensor([[0.2, 0.1, 0.1, 0.6]]).log()


def test_rule_a_moves_forwards_as_well():
    positive = torch.tensor([[0.6, 0.1, 0.1, 0.2]]).log()
    assert RuleA().step(DISPLACEMENT, positive, voxel_mm=0.5).tolist() == [[0.5, 0.0]]


@pytest.mark.parametrize(
    ("rule", "iterations", "expected"),
    [(RuleA, 350, [0.0, -0.5]), (RuleB, 10, [2.0, -4.0]), (RuleC, 10, [0.2 * 2.0, 0.6 * -4.0])],
)
def test_steps_by_hand_and_the_iterations_of_the_paper(rule, iterations, expected):
    assert rule().max_iterations == iterations
    for shift in (0.0, 3.0):  # one softmax over all classes
        step = rule().step(DISPLACEMENT, LOGITS + shift, voxel_mm=0.5)
        torch.testing.assert_close(step, torch.tensor([expected]))

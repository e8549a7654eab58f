import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error

from pin_lightning.method.losses import RelativeError, pin_loss

DISPLACEMENT = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
TRUE_DISPLACEMENT = torch.tensor([[2.0, 4.0], [0.0, 2.0]])
LOGITS = torch.tensor([[0.0, 0.0, 0.0, 0.0], [math.log(5.0), 0.0, 0.0, 0.0]])
DIRECTION = torch.tensor([2, 0])


def test_eq_2_by_hand():
    loss = pin_loss(DISPLACEMENT, LOGITS, TRUE_DISPLACEMENT, DIRECTION, alpha=0.25)
    # Squared norms 5 and 4, each divided by K = 2, averaged over 2 samples.
    assert loss.displacement.item() == pytest.approx((5 / 2 + 4 / 2) / 2)
    # Probabilities of the true direction: 1/4 and 5/8.
    assert loss.direction.item() == pytest.approx(-(math.log(1 / 4) + math.log(5 / 8)) / 2)
    expected = 0.75 * loss.displacement + 0.25 * loss.direction
    assert loss.total.item() == pytest.approx(expected.item())


def test_eq_2_against_scikit_learn():
    generator = torch.Generator().manual_seed(3)
    displacement, target = torch.randn(2, 20, 5, generator=generator).double()
    logits = torch.randn(20, 10, generator=generator).double()
    direction = torch.randint(10, (20,), generator=generator)
    loss = pin_loss(displacement, logits, target, direction, alpha=0.5)
    scores = np.exp(logits.numpy())
    probability = scores / scores.sum(axis=1, keepdims=True)
    reference = 0.5 * mean_squared_error(target, displacement)
    reference += 0.5 * log_loss(direction, probability, labels=range(10))
    assert loss.total.item() == pytest.approx(reference)


def test_alpha_0_trains_only_displacement_and_alpha_1_only_direction():
    for alpha, dead, alive in [(0.0, 1, 0), (1.0, 0, 1)]:
        heads = [DISPLACEMENT.clone().requires_grad_(), LOGITS.clone().requires_grad_()]
        pin_loss(heads[0], heads[1], TRUE_DISPLACEMENT, DIRECTION, alpha).total.backward()
        assert heads[dead].grad is not None
        assert not heads[dead].grad.any()
        assert heads[alive].grad is not None
        assert heads[alive].grad.any()


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_refuses_alpha_outside_0_and_1(alpha):
    with pytest.raises(ValueError, match="alpha"):
        pin_loss(DISPLACEMENT, LOGITS, TRUE_DISPLACEMENT, DIRECTION, alpha)


def test_the_relative_error_by_hand():
    # Errors 1, 2, 0, 2 in scales of 2, 2, 1, 1: 0.5, 1, 0, 2 with smooth L1 0.125, 0.5, 0, 1.5.
    scale = torch.tensor([[2.0], [1.0]]).expand(2, 2)
    loss = RelativeError()(DISPLACEMENT, TRUE_DISPLACEMENT, scale)
    assert loss.item() == pytest.approx((0.125 + 0.5 + 0 + 1.5) / 4)
    given = (DISPLACEMENT, LOGITS, TRUE_DISPLACEMENT, DIRECTION)
    total = pin_loss(*given, 0.25, RelativeError(), scale)
    assert total.displacement.item() == pytest.approx(loss.item())

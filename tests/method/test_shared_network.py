import pytest
import torch

from pin_lightning.method.shared_network import SharedNetwork

SHAPES = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(0))
EXTENT = (10.0, 10.0, 10.0)


def network(landmarks=4, side=9, channels=6, random=True):
    torch.manual_seed(0)
    made = SharedNetwork(channels * landmarks, 3 * landmarks, side, (4, 8), (16,))
    if random:
        for one in (made.embedding, made.heads, made.biases):
            torch.nn.init.normal_(one)
    return made.eval()


def patches(landmarks=4, side=9, count=3):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 6 * landmarks, side, side, generator=generator)


def test_an_untrained_network_does_not_move():
    displacement, logits = network(random=False)(patches())
    assert displacement.shape == (3, 12)
    assert logits.shape == (3, 24)
    assert not displacement.any()
    assert not logits.any()


def test_zero_heads_learn_at_the_first_step_and_the_rest_at_the_second():
    made = network(random=False).train()
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    for part in (made.heads, made.embedding):
        optimizer.zero_grad()
        displacement, logits = made(patches())
        ((displacement - 1).square().mean() + (logits - 1).square().mean()).backward()
        assert part.grad.any()
        optimizer.step()


def test_outputs_are_in_the_order_of_groups_by_hand():
    made, inputs = network(), patches()
    displacement, logits = made(inputs)
    for landmark in range(4):
        own = inputs[:, 6 * landmark : 6 * landmark + 6]
        features = made.features(own).flatten(1) * made.embedding[landmark]
        outputs = made.hidden(features) @ made.heads[landmark].T + made.biases[landmark]
        torch.testing.assert_close(displacement[:, 3 * landmark :][:, :3], outputs[:, :3])
        torch.testing.assert_close(logits[:, 6 * landmark :][:, :6], outputs[:, 3:])


def test_landmarks_in_another_order_give_outputs_in_that_order():
    made, inputs, order = network(), patches(), [2, 0, 3, 1]
    displacement, logits = made(inputs)
    for one in (made.embedding, made.heads, made.biases):
        one.data = one.data[order]
    moved, scores = made(inputs.unflatten(1, (4, 6))[:, order].flatten(1, 2))
    torch.testing.assert_close(moved, displacement.unflatten(1, (4, 3))[:, order].flatten(1))
    torch.testing.assert_close(scores, logits.unflatten(1, (4, 6))[:, order].flatten(1))


def test_a_landmark_sees_its_own_patches_only():
    made, inputs = network(), patches()
    before = made(inputs)[0]
    inputs[:, 6:12] += 1
    changed = (made(inputs)[0] - before).unflatten(1, (4, 3)).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == [False, True, False, False]


def test_each_landmark_adds_an_embedding_and_its_heads():
    few, many = (
        sum(one.numel() for one in network(landmarks).parameters()) for landmarks in (4, 5)
    )
    assert many - few == 8 * 3 * 3 + 9 * 16 + 9


@pytest.mark.parametrize("side", [1, 5, 17, 25])
def test_takes_any_odd_patch(side):
    assert network(side=side)(patches(side=side))[0].shape == (3, 12)


def test_refuses_an_even_patch():
    with pytest.raises(ValueError, match=r"model\.patch_side=24"):
        network(side=24)

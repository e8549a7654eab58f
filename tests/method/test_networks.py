from itertools import pairwise

import pytest
import torch
from torch import nn

from pin_lightning.method import networks
from pin_lightning.method.networks import CompactNetwork, PaperNetwork, SharedNetwork


def test_paper_network_has_the_papers_parameters_and_starts():
    network = PaperNetwork(in_channels=30, num_parameters=15, patch_side=101)
    assert sum(weights.numel() for weights in network.parameters()) == 4_772_301
    for name, values in network.named_parameters():
        if name.endswith("bias"):
            assert (values == 0.1).all()
        else:
            assert values.abs().max() <= 0.2  # truncated at two standard deviations
            # A normal cut at two SD has 0.88 of its SD.
            assert values.std().item() == pytest.approx(0.088, abs=0.006)


def test_paper_network_has_two_heads_with_dropout():
    network = PaperNetwork(in_channels=3, num_parameters=3, patch_side=101)
    for head, outputs in [(network.displacement_head, 3), (network.direction_head, 6)]:
        linear = [layer for layer in head if isinstance(layer, nn.Linear)]
        assert [layer.out_features for layer in linear] == [1024, 1024, outputs]
        assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
        assert isinstance(head[-1], nn.Linear)  # no activation on the output


SIDES = {PaperNetwork: (95, 101, 125), CompactNetwork: (1, 3, 5, 15, 25, 47, 49, 101)}
SIDES[SharedNetwork] = (1, 5, 17, 25)


@pytest.mark.parametrize(("build", "side"), [(kind, one) for kind in SIDES for one in SIDES[kind]])
def test_networks_take_any_odd_patch_that_is_large_enough(build, side):
    displacement, logits = build(6, 6, side)(torch.zeros(2, 6, side, side))
    assert displacement.shape == (2, 6)
    assert logits.shape == (2, 12)


SMALL = [(PaperNetwork, side) for side in (93, 49, 1)]


@pytest.mark.parametrize(("build", "side"), [*SMALL, *((kind, 124) for kind in SIDES)])
def test_networks_refuse_small_and_even_patches(build, side):
    with pytest.raises(ValueError, match=f"patch_side={side}"):
        build(6, 6, side)


@pytest.mark.parametrize("build", [PaperNetwork, CompactNetwork])
def test_every_pooling_commutes_with_the_rectifier_that_follows(build):
    layers = list(build(3, 2, 95).features)
    after = [two for one, two in pairwise(layers) if isinstance(one, nn.MaxPool2d)]
    assert after
    assert all(isinstance(one, nn.ReLU) for one in after)


def test_compact_network_does_not_depend_on_the_scale_of_intensity():
    """Purpose of the batch normalisation."""
    outputs = []
    for scale in (1.0, 0.2):
        torch.manual_seed(0)
        network = CompactNetwork(3, 2, 15, widths=(4, 4), hidden=(8,), dropout=0.0)
        inputs = torch.rand(16, 3, 15, 15, generator=torch.manual_seed(1))
        outputs.append(network(scale * inputs)[0])
    torch.testing.assert_close(*outputs, atol=2e-2, rtol=0)


def test_heads_do_not_share_weights_but_features_do():
    network = CompactNetwork(3, 2, 15, widths=(4, 4), hidden=(8,), dropout=0.0)
    displacement, _ = network(torch.rand(2, 3, 15, 15))
    displacement.sum().backward()
    assert all(weights.grad is not None for weights in network.features.parameters())
    assert all(weights.grad is None for weights in network.direction_head.parameters())


def test_input_is_scaled_to_one():
    patches = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert networks.patches_to_input(patches).flatten().tolist() == pytest.approx([0, 0.2, 1])


def network(random=True):
    torch.manual_seed(0)
    made = SharedNetwork(6 * 4, 3 * 4, 9, (4, 8), (16,))
    if random:
        for one in (made.embedding, made.heads, made.biases):
            torch.nn.init.normal_(one)
    return made.eval()


def patches():
    return torch.rand(3, 6 * 4, 9, 9, generator=torch.Generator().manual_seed(1))


def test_an_untrained_network_does_not_move_and_its_heads_learn_before_the_rest():
    made = network(random=False).train()
    assert not any(output.any() for output in made(patches()))
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

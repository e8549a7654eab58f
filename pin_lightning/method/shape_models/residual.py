"""The non-linear part of a decoder: a small network, trained on augmented shapes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from pin_lightning.common.types import Float, Tensor

LEARNING_RATE, WEIGHT_DECAY = 5e-3, 0.3
BATCH = 128
NOISE = 0.3  # of training samples, in standard deviations of the shapes


@dataclass(frozen=True)
class Residual:
    """What a decoder adds to its linear shape, or several: ``tanh(b inner + bias) outer + offset``.

    Attributes:
        inner: Weights of the hidden units, 1/mm.
        bias: Their biases.
        outer: Weights of the output, mm; orthogonal to the modes, so that it moves no parameter.
        offset: Its biases, mm; likewise.
    """

    inner: Float[Tensor, "*F K H"]
    bias: Float[Tensor, "*F 1 H"]
    outer: Float[Tensor, "*F H D"]
    offset: Float[Tensor, "*F 1 D"]

    def __call__(self, parameters: Float[Tensor, "*F N K"]) -> Float[Tensor, "*F N D"]:
        """Added coordinates, mm."""
        return torch.tanh(parameters @ self.inner + self.bias) @ self.outer + self.offset

    def __getitem__(self, decoder: int) -> "Residual":
        """That of one decoder."""
        return Residual(*(one[decoder] for one in vars(self).values()))

    def slopes(self, parameters: Float[Tensor, "N K"]) -> Float[Tensor, "N K D"]:
        """Motion of the coordinates with each parameter of one decoder, mm per mm."""
        hidden = torch.tanh(parameters @ self.inner + self.bias)
        return (self.inner * (1 - hidden.square())[:, None]) @ self.outer


def train(
    pools_mm: Sequence[Float[Tensor, "_ D"]],
    modes: Float[Tensor, "F K D"],
    hidden: int,
    steps: int,
    every: int,
    generator: torch.Generator,
) -> Iterator[Residual]:
    """Train F decoders side by side, each on its own shapes, to give what its modes do not hold.

    Args:
        pools_mm: Augmented training shapes of each decoder, minus its mean shape.
        modes: Orthonormal modes of each decoder.
        hidden: Hidden units H.
        steps: Training steps.
        every: Steps after which their state is given.
        generator: Source of the first weights, the same for all decoders, and of the samples.

    Yields:
        All decoders before the first step, when they add nothing, after every so many, and at the
        end.
    """
    unit_mm = torch.stack([_largest_sd(*one) for one in zip(pools_mm, modes, strict=True)])
    weights = _first_weights(modes, hidden, generator)
    yield _residual(_copies(weights), modes, unit_mm)
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step in range(1, steps + 1):
        samples_mm = torch.stack([_samples(pool, generator) for pool in pools_mm])
        parameters = samples_mm @ modes.mT
        rest_mm = samples_mm - parameters @ modes
        with torch.enable_grad():
            missed_mm = _residual(weights, modes, unit_mm)(parameters) - rest_mm
            # Each decoder on a scale of its own, and none divided by nothing.
            scale = rest_mm.square().mean(dim=(1, 2)).clamp(min=1e-12)
            loss = (missed_mm.square().mean(dim=(1, 2)) / scale).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % every == 0 or step == steps:
            yield _residual(_copies(weights), modes, unit_mm)


def _largest_sd(pool_mm: Float[Tensor, "N D"], modes: Float[Tensor, "K D"]) -> Float[Tensor, "1 1"]:
    """The unit of length of a decoder: small modes then hardly bend the others."""
    return (pool_mm @ modes.mT).square().mean(dim=0).max().sqrt().clamp(min=1e-6).view(1, 1)


def _first_weights(
    modes: Float[Tensor, "F K D"], hidden: int, generator: torch.Generator
) -> list[Tensor]:
    """Random hidden units, and an output of zero."""
    decoders, components, coordinates = modes.shape
    normal = torch.randn(components + 1, hidden, generator=generator, dtype=modes.dtype)
    inner, bias = normal[:-1] / components**0.5, normal[-1:] / 2
    zeros = (modes.new_zeros(hidden, coordinates), modes.new_zeros(1, coordinates))
    first = [one.repeat(decoders, 1, 1) for one in (inner, bias, *zeros)]
    return [one.requires_grad_() for one in first]


def _copies(weights: Sequence[Tensor]) -> list[Tensor]:
    """The weights as they are now."""
    return [one.detach().clone() for one in weights]


def _residual(
    weights: Sequence[Tensor], modes: Float[Tensor, "F K D"], unit_mm: Float[Tensor, "F 1 1"]
) -> Residual:
    """The weights in mm, without what they would add along the modes."""
    inner, bias, outer, offset = weights
    outer, offset = (unit_mm * (one - one @ modes.mT @ modes) for one in (outer, offset))
    return Residual(inner / unit_mm, bias, outer, offset)


def _samples(pool_mm: Float[Tensor, "N D"], generator: torch.Generator) -> Float[Tensor, "B D"]:
    """Shapes of a pool with noise that varies as they do: differences of others."""
    chosen, one, other = torch.randint(len(pool_mm), (3, BATCH), generator=generator)
    return pool_mm[chosen] + NOISE / 2**0.5 * (pool_mm[one] - pool_mm[other])

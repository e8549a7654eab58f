"""The non-linear part of a decoder: a small network, trained on augmented shapes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from pin_lightning.common.types import Float, Tensor

LEARNING_RATE, WEIGHT_DECAY = 5e-3, 0.3
BATCH = 128
NOISE = 0.3  # added to training samples, in standard deviations of the shapes


@dataclass(frozen=True)
class Residual:
    """Non-linear part of one or F decoders: ``tanh(b inner + bias) outer + offset``.

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
        """Select one decoder."""
        return Residual(*(one[decoder] for one in vars(self).values()))

    def slopes(self, parameters: Float[Tensor, "N K"]) -> Float[Tensor, "N K D"]:
        """Derivative of the coordinates by each parameter of one decoder, mm per mm."""
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
    """Train F decoders in one batch, each on its own shapes, to predict what its modes leave over.

    Args:
        pools_mm: Augmented training shapes of each decoder, minus its mean shape.
        modes: Orthonormal modes of each decoder.
        hidden: Hidden units H.
        steps: Training steps.
        every: Steps between the states that are yielded.
        generator: Source of the first weights, the same for all decoders, and of the samples.

    Yields:
        All decoders before the first step, when they add nothing, after every so many steps and at
        the end.
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
            # Relative errors, so that each decoder counts alike; the clamp avoids 0 / 0.
            scale = rest_mm.square().mean(dim=(1, 2)).clamp(min=1e-12)
            loss = (missed_mm.square().mean(dim=(1, 2)) / scale).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % every == 0 or step == steps:
            yield _residual(_copies(weights), modes, unit_mm)


def _largest_sd(pool_mm: Float[Tensor, "N D"], modes: Float[Tensor, "K D"]) -> Float[Tensor, "1 1"]:
    """Unit of length of a decoder, by which small modes hardly bend the others."""
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
    return [one.detach().clone() for one in weights]


def _residual(
    weights: Sequence[Tensor], modes: Float[Tensor, "F K D"], unit_mm: Float[Tensor, "F 1 1"]
) -> Residual:
    """Convert weights to mm, and make the output orthogonal to the modes."""
    inner, bias, outer, offset = weights
    outer, offset = (unit_mm * (one - one @ modes.mT @ modes) for one in (outer, offset))
    return Residual(inner / unit_mm, bias, outer, offset)


def _samples(pool_mm: Float[Tensor, "N D"], generator: torch.Generator) -> Float[Tensor, "B D"]:
    """Draw shapes of a pool; the noise is a difference of two others, so it varies as they do."""
    chosen, one, other = torch.randint(len(pool_mm), (3, BATCH), generator=generator)
    return pool_mm[chosen] + NOISE / 2**0.5 * (pool_mm[one] - pool_mm[other])

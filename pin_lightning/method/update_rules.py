"""Update rules A, B and C: from network outputs to a step in shape space (paper, Section 2)."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.targets import direction_signs

Displacement: TypeAlias = Float[Tensor, "N K"]
Logits: TypeAlias = Float[Tensor, "N K2"]


@runtime_checkable
class UpdateRule(Protocol):
    """Turns the two outputs of the network into the step of one iteration."""

    max_iterations: int

    def step(self, displacement_mm: Displacement, logits: Logits, voxel_mm: float) -> Displacement:
        """Compute the step in shape space, mm.

        Args:
            displacement_mm: Predicted displacement in shape space.
            logits: Scores of the 2K directions, before the softmax.
            voxel_mm: Spacing of the working volume.
        """
        ...


@dataclass(frozen=True)
class RuleA:
    """One voxel in the most probable direction; oscillates when it arrives (paper, rule A)."""

    max_iterations: int = 350

    def step(self, displacement_mm: Displacement, logits: Logits, voxel_mm: float) -> Displacement:
        """Step one voxel along the component of the most probable direction."""
        best = logits.argmax(dim=1)
        step = torch.zeros_like(displacement_mm)
        sign = 1.0 - 2.0 * (best % 2).to(step.dtype)
        return step.scatter(1, (best // 2)[:, None], (sign * voxel_mm)[:, None])


@dataclass(frozen=True)
class RuleB:
    """The predicted displacement itself (paper, rule B)."""

    max_iterations: int = 10

    def step(self, displacement_mm: Displacement, logits: Logits, voxel_mm: float) -> Displacement:
        """Return the displacement, unweighted."""
        return displacement_mm


@dataclass(frozen=True)
class RuleC:
    """Displacement weighted by the probability of each component's direction (paper, rule C)."""

    max_iterations: int = 10

    def step(self, displacement_mm: Displacement, logits: Logits, voxel_mm: float) -> Displacement:
        """Return ``P_max * d``, ``P_max`` the larger probability of each component's two signs."""
        probability = torch.softmax(logits, dim=1)
        return direction_signs(probability).amax(dim=2) * displacement_mm

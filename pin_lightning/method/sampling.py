"""Sampling of training points in shape space: alternatives behind one Protocol."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.method.shape_models import ShapeModel

Points: TypeAlias = Float[Tensor, "N K"]


class Drawn(NamedTuple):
    """Points in shape space.

    Attributes:
        parameters: The points [N, K].
        scale_mm: Distance from the truth at which each group of parameters was drawn [N, G], if
            known.
    """

    parameters: Tensor
    scale_mm: Tensor | None = None


@runtime_checkable
class Sampling(Protocol):
    """Draws the points of training samples."""

    @property
    def knows_scale(self) -> bool:
        """True if draws carry the scale at which they lie from the truth."""
        ...

    def draw(
        self, shape_model: ShapeModel, truth: Points, spacing_mm: float, generator: torch.Generator
    ) -> Drawn:
        """Draw the points of N samples.

        Args:
            shape_model: Fitted shape model.
            truth: True shape parameters of each sample's volume.
            spacing_mm: Voxel side of the working grid.
            generator: Source of the draws, on the device of the result.
        """
        ...


@dataclass(frozen=True)
class Approach:
    """Uniform within +-3 SD, a share of the samples moved towards the truth.

    These lie at a random point of the line from the uniform sample to the truth, along which the
    iteration moves.

    Attributes:
        approach_fraction: Share of samples that are moved; 0 in the paper.

    Raises:
        ValueError: The share is not between 0 and 1.
    """

    knows_scale: ClassVar[bool] = False
    approach_fraction: float = 0.9

    def __post_init__(self) -> None:
        _check_share("model.approach_fraction", self.approach_fraction)

    def draw(
        self, shape_model: ShapeModel, truth: Points, spacing_mm: float, generator: torch.Generator
    ) -> Drawn:
        """Draw the points of N samples."""
        count, device = len(truth), generator.device
        uniform = shape_model.sample(count, generator)
        moved, share = torch.rand(2, count, 1, generator=generator, device=device)
        distance = torch.where(moved < self.approach_fraction, share, 1.0)
        return Drawn(truth + distance * (uniform - truth))


@dataclass(frozen=True)
class Scatter:
    """Normal around the truth with a log-uniform scale, so that every distance is as frequent.

    Each group of shape parameters has its own scale: the SD of its landmarks' distance from the
    truth along each axis. A part of the variance is a shift of the whole shape.

    Attributes:
        smallest_voxels: Smallest scale.
        largest_voxels: Largest scale; by default twice the scatter of the training shapes, so that
            samples lie as far away as the mean shape does.
        common_share: Share of the variance that all landmarks have in common.

    Raises:
        ValueError: The scales are not positive and in order, or the share is outside [0, 1].
    """

    knows_scale: ClassVar[bool] = True
    smallest_voxels: float = 0.5
    largest_voxels: float | None = None
    common_share: float = 0.5

    def __post_init__(self) -> None:
        largest = math.inf if self.largest_voxels is None else self.largest_voxels
        if not 0 < self.smallest_voxels <= largest:
            raise ValueError(
                f"sampling.smallest_voxels={self.smallest_voxels}: give more than 0, "
                f"and at most sampling.largest_voxels={self.largest_voxels}"
            )
        _check_share("sampling.common_share", self.common_share)

    def draw(
        self, shape_model: ShapeModel, truth: Points, spacing_mm: float, generator: torch.Generator
    ) -> Drawn:
        """Draw the points of N samples with the scale of each group."""
        count, groups, device = len(truth), shape_model.num_groups, generator.device
        share = torch.rand(count, groups, generator=generator, device=device)
        smallest_mm = self.smallest_voxels * spacing_mm
        scale_mm = smallest_mm * (self._largest_mm(shape_model, spacing_mm) / smallest_mm) ** share
        landmarks_mm = shape_model.decode(truth)
        number = shape_model.num_landmarks
        normal = torch.randn(count, 1 + number, 3, generator=generator, device=device)
        own, common = (1 - self.common_share) ** 0.5, self.common_share**0.5
        offset = own * normal[:, 1:] + common * normal[:, :1]
        each_mm = scale_mm.repeat_interleave(number // groups, dim=1)
        return Drawn(shape_model.encode(landmarks_mm + each_mm[..., None] * offset), scale_mm)

    def _largest_mm(self, shape_model: ShapeModel, spacing_mm: float) -> Tensor:
        """Largest scale, mm; a tensor, as a number would synchronise with the GPU."""
        if self.largest_voxels is not None:
            return torch.tensor(self.largest_voxels * spacing_mm)
        # Parameters are mm of landmark motion: their variances sum up to that of all coordinates.
        scatter_mm = (shape_model.sd_.square().sum() / (3 * shape_model.num_landmarks)).sqrt()
        return (2 * scatter_mm).clamp(min=self.smallest_voxels * spacing_mm)


@dataclass(eq=False)
class OnTrajectories:
    """A share of the samples on the model's own trajectories, the others by another sampling.

    A sample on a trajectory has the offsets from the truth that all landmarks of a training volume
    had in one iteration, so that it shows the errors that the model makes, with their correlation.

    Attributes:
        sampling: Draws the other samples.
        share: Share of the samples that lie on trajectories, once `offsets_mm` is set.
        offsets_mm: Offsets of landmarks from the truth [R, L, 3], NaN where unknown; None at first.

    Raises:
        ValueError: The share is not between 0 and 1.
    """

    sampling: Sampling
    share: float
    offsets_mm: Tensor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        _check_share("model.trajectory_share", self.share)

    @property
    def knows_scale(self) -> bool:
        """As in the other sampling."""
        return self.sampling.knows_scale

    def draw(
        self, shape_model: ShapeModel, truth: Points, spacing_mm: float, generator: torch.Generator
    ) -> Drawn:
        """Draw N samples; the scale on a trajectory is the distance, at least half a voxel."""
        drawn = self.sampling.draw(shape_model, truth, spacing_mm, generator)
        if self.offsets_mm is None:
            return drawn
        count, groups, device = len(truth), shape_model.num_groups, generator.device
        chosen = torch.randint(len(self.offsets_mm), (count,), generator=generator, device=device)
        offsets_mm = self.offsets_mm.to(device)[chosen]
        by_group = offsets_mm.unflatten(1, (groups, -1)).flatten(2)
        moved = torch.rand(count, 1, generator=generator, device=device) < self.share
        moved = moved & torch.isfinite(by_group).all(dim=2)
        there = shape_model.encode(shape_model.decode(truth) + offsets_mm)
        each = moved.repeat_interleave(there.shape[1] // groups, dim=1)
        parameters = torch.where(each, there, drawn.parameters)
        if drawn.scale_mm is None:
            return Drawn(parameters)
        scale_mm = by_group.square().mean(dim=2).sqrt().clamp(min=spacing_mm / 2)
        return Drawn(parameters, torch.where(moved, scale_mm, drawn.scale_mm))


def _check_share(setting: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"{setting}={share}: give a share between 0 and 1")

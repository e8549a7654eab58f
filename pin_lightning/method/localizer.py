"""The iterative procedure: starts, patches, network, update rule, average (paper, Section 2)."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import nn

from pin_lightning.common.geometry import Grid
from pin_lightning.common.precision import network_dtype
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.networks import patches_to_input
from pin_lightning.method.patches import check_interpolation, check_patch_side
from pin_lightning.method.pyramid import (
    Cut,
    Pyramid,
    build_pyramid,
    check_spacings,
    cut_levels,
    cut_straight,
    merge_levels,
)
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.targets import displacement_unit
from pin_lightning.method.trajectory import LandmarkLocalizer, Trajectory
from pin_lightning.method.update_rules import UpdateRule

VolumeIndex: TypeAlias = Int[Tensor, " N"]  # volume in which each of N points iterates
Points: TypeAlias = Float[Tensor, "N K"]  # points in shape space
# A replacement of the iteration: gives final points and the iterations that each start made [N].
Loop: TypeAlias = Callable[
    ["Localizer", Pyramid, VolumeIndex, Points], tuple[Points, Int[Tensor, " N"]]
]


class Localizer(nn.Module):
    """Moves shape parameters towards the anatomy of a working volume.

    Args:
        network: Two-head CNN.
        shape_model: Fitted shape model.
        update_rule: Rule A, B or C.
        grid: Working grid of the volumes.
        patch_side: Patch side P in voxels, odd.
        interpolation: Interpolation of patches: ``nearest`` or ``linear``.
        displacement_unit: Unit of the displacement head: ``voxel`` or ``sd``.
        num_starts: Starts S whose final positions are averaged.
        tolerance_mm: A start whose landmarks all move less than this in one iteration stops.
        seed: Seed of the random starts, the same for every volume.
        patch_spacings: Spacings at which patches are cut, in voxels.
        prior: Fitted shape model into which landmarks are projected in the first iterations.
        prior_share: Share of the iterations that end with that projection.
        first_stage: Localizer of any kind of the same landmarks and grid; its final positions
            are the starts of this one, which otherwise come from the shape model.
        precision: Precision of the network in its training, one of `precision.SETTINGS`.

    Raises:
        ValueError: A setting is wrong.
    """

    _kept_starts: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        shape_model: ShapeModel,
        update_rule: UpdateRule,
        grid: Grid,
        patch_side: int,
        interpolation: str = "nearest",
        displacement_unit: str = "voxel",
        num_starts: int = 6,
        tolerance_mm: float = 0.0,
        seed: int = 0,
        patch_spacings: Sequence[int] = (1,),
        prior: ShapeModel | None = None,
        prior_share: float = 0.0,
        first_stage: LandmarkLocalizer | None = None,
        precision: str = "auto",
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.shape_model = shape_model
        self.update_rule = update_rule
        self.grid = grid
        self.patch_side = check_patch_side(patch_side)
        self.interpolation = check_interpolation(interpolation)
        self.displacement_unit = displacement_unit
        self.num_starts = num_starts
        self.tolerance_mm = tolerance_mm
        self.seed = seed
        self.patch_spacings = check_spacings(patch_spacings)
        self.prior = prior
        self.prior_iterations = _prior_iterations(prior, prior_share, update_rule.max_iterations)
        self.first_stage = first_stage
        self.register_buffer("_kept_starts", None, persistent=False)
        self.precision = precision
        self.network_dtype = torch.float32  # positions are in float32 whatever the network's
        self._loop: Loop | None = None

    @property
    def mean_shape_mm(self) -> Float[Tensor, "L 3"]:
        """The guess that uses no image: the mean training shape."""
        return self.shape_model.mean_mm_

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Set the precision of the network, here and in the first stage."""
        self.network_dtype = dtype
        if self.first_stage is not None:
            self.first_stage.set_dtype(dtype)

    def set_loop(self, loop: Loop | None) -> None:
        """Replace the iteration by a loop that returns no path; None restores it.

        An exported graph needs one: the sizes of its tensors cannot change.
        """
        self._loop = loop

    def choose_dtype(self, device: torch.device) -> None:
        """Set the precision of each network, also of the first stage, to that of its training.

        Args:
            device: Device that computes.

        Raises:
            ValueError: A precision is unknown.
        """
        self.network_dtype = network_dtype(device, self.precision)
        if self.first_stage is not None:
            self.first_stage.choose_dtype(device)

    def set_starts(self, number: int) -> None:
        """Set the number of starts that are averaged.

        Raises:
            ValueError: The shape model has fewer.
        """
        self.num_starts, self._kept_starts = number, None
        self.starts()

    def keep_starts(self) -> None:
        """Draw the starts now and keep them: an exported graph cannot draw."""
        self._kept_starts = self.starts()

    def unit_mm(self) -> Float[Tensor, " K"]:
        """Millimetres per unit of the displacement head, for each shape parameter."""
        return displacement_unit(self.displacement_unit, self.shape_model.sd_, self.grid.spacing_mm)

    def starts(self) -> Float[Tensor, "S K"]:
        """Initial shape parameters, the same for every volume."""
        if self._kept_starts is not None:
            return self._kept_starts
        generator = torch.Generator().manual_seed(self.seed)
        return self.shape_model.starts(self.num_starts, generator)

    @torch.no_grad()
    def forward(
        self, volumes: Num[Tensor, "V X Y Z"], starts: Float[Tensor, "V S K"] | None = None
    ) -> Trajectory:
        """Localise the landmarks of one or more working volumes.

        Args:
            volumes: Working volumes on the grid, 0 to 255, on the device of the network.
            starts: Initial shape parameters of each volume; by default the final ones of the first
                stage, or `starts` for all.

        Returns:
            Positions in grid millimetres, with the path of every start.
        """
        with torch.autocast(volumes.device.type, enabled=False):  # a trainer may have enabled it
            starts = self._starts_of(volumes) if starts is None else starts
            return self._localise(volumes, starts)

    def _starts_of(self, volumes: Num[Tensor, "V X Y Z"]) -> Float[Tensor, "V S K"]:
        if self.first_stage is None:
            return self.starts().to(volumes.device).expand(volumes.shape[0], -1, -1)
        ends_mm = self.first_stage(volumes).landmarks_mm[:, -1, : self.num_starts]
        return self.shape_model.encode(ends_mm)

    def _localise(
        self, volumes: Num[Tensor, "V X Y Z"], starts: Float[Tensor, "V S K"]
    ) -> Trajectory:
        pyramid = build_pyramid(volumes, self.grid, self.patch_spacings)
        volume_index = torch.arange(volumes.shape[0], device=volumes.device)
        volume_index = volume_index.repeat_interleave(starts.shape[1])
        path, iterations = self._iterate(pyramid, volume_index, starts.flatten(0, 1))
        landmarks_mm = torch.stack([self.shape_model.decode(b) for b in path])
        landmarks_mm = landmarks_mm.unflatten(1, (volumes.shape[0], -1)).transpose(0, 1)
        final = landmarks_mm[:, -1]
        mean = final.mean(dim=1)
        spread = (final - mean[:, None]).square().sum(-1).mean(dim=1).sqrt()
        iterations = iterations.view(volumes.shape[0], -1)
        return Trajectory(landmarks_mm, iterations, mean, spread, spread)

    def _iterate(
        self, pyramid: Pyramid, volume_index: VolumeIndex, parameters: Points
    ) -> tuple[list[Tensor], Int[Tensor, " N"]]:
        """Path of T + 1 points, only the last with a loop of `set_loop`, and iterations made."""
        if self._loop is not None:
            end, iterations = self._loop(self, pyramid, volume_index, parameters)
            return [end], iterations
        path = [parameters]
        iterations = torch.zeros_like(volume_index)
        active = torch.arange(len(parameters), device=parameters.device)
        for iteration in range(self.update_rule.max_iterations):
            if len(active) == 0:
                break
            current = path[-1][active]
            held = iteration < self.prior_iterations
            moved = current + self.step(pyramid, volume_index[active], current)
            moved = self.project(moved) if held else moved
            path.append(path[-1].index_copy(0, active, moved))
            iterations[active] += 1
            if self.tolerance_mm > 0 and not held:
                active = active[self.distance_mm(current, moved) >= self.tolerance_mm]
        return path, iterations

    def step(
        self,
        pyramid: Pyramid,
        volume_index: VolumeIndex,
        parameters: Points,
        cut: Cut = cut_straight,
    ) -> Points:
        """Step of the update rule at each of N points in shape space, mm."""
        patches = self.patches(pyramid, volume_index, parameters, cut)
        lower = self.network_dtype != torch.float32
        with torch.autocast(patches.device.type, self.network_dtype, enabled=lower):
            displacement, logits = self.network(patches_to_input(patches))
        by_group, spacing_mm = self.shape_model.by_group, self.grid.spacing_mm
        displacement_mm = by_group(displacement * self.unit_mm())
        step = self.update_rule.step(displacement_mm, by_group(logits), spacing_mm)
        return step.view_as(parameters)

    def patches(
        self,
        pyramid: Pyramid,
        volume_index: VolumeIndex,
        parameters: Points,
        cut: Cut = cut_straight,
    ) -> Num[Tensor, "N C P P"]:
        """Cut the patches at each of N points in shape space."""
        centres_mm = self.shape_model.decode(parameters)
        settings = (self.patch_side, self.interpolation)
        return merge_levels(cut_levels(pyramid, volume_index, centres_mm, *settings, cut))

    def project(self, parameters: Points) -> Points:
        """Closest shapes in the space of the prior, which holds points in the first iterations."""
        assert self.prior is not None
        landmarks_mm = self.shape_model.decode(parameters)
        return self.shape_model.encode(self.prior.decode(self.prior.encode(landmarks_mm)))

    def distance_mm(self, before: Points, after: Points) -> Float[Tensor, " N"]:
        """Largest movement of a landmark between two shapes."""
        moved = self.shape_model.decode(after) - self.shape_model.decode(before)
        return moved.norm(dim=-1).amax(dim=-1)


def _prior_iterations(prior: ShapeModel | None, share: float, iterations: int) -> int:
    """Iterations in which the prior holds the landmarks: at least 1 with a prior, else 0."""
    if prior is None:
        return 0
    if not 0 < share <= 1:
        raise ValueError(
            f"model.prior_share={share}: give a share above 0, at most 1, or model.prior=null"
        )
    return max(1, round(share * iterations))

"""The pose finder: many starts, a few iterations, the best is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from pin_lightning.common.alignment import Pose
from pin_lightning.common.precision import network_dtype
from pin_lightning.common.settings import check_count
from pin_lightning.common.types import Float, Int, Num, Tensor, UInt8
from pin_lightning.method.pose.network import PoseNetwork, PoseOutputs, scaled
from pin_lightning.method.pose.path import PosePath
from pin_lightning.method.pose.rigid import Poses, fit_poses, turned, unit
from pin_lightning.method.pose.rounds import search_rounds, turned_over
from pin_lightning.method.pose.samples import LARGEST
from pin_lightning.method.pose.scans import Box, Scans, border_of, cut_levels_posed, planes
from pin_lightning.method.pose.starts import GROUPS, distinct, start_poses, start_rotations

Which: TypeAlias = slice | Tensor  # of the landmarks that are looked at

SAMPLE_SCALE = 1.35  # of patches of samples, whose sizes vary
MOST_LANDMARKS, MOST_SIDE = 256, 129  # far above any use
CHUNK = 2048  # patches of landmarks that are cut at once
SCORES = ("evidence", "expected_error")  # by which poses are compared in the end
SAME_DEGREES, SAME_SHARE = 25.0, 0.12  # poses closer in angle and shift (of the extent) are one


@dataclass(frozen=True, eq=False)
class FoundPose:
    """Pose of the anatomy in a scan.

    Attributes:
        pose: From anatomical mm to scan mm.
        score: Minus the log odds that the pose is right: the lower, the surer. Of stages that are
            scored by the expected error, the mean of its log over the landmarks.
        second_score: Score of the best pose that is another one; infinite without any.
    """

    pose: Pose
    score: float
    second_score: float

    @property
    def lead(self) -> float:
        """Score of the second best minus that of the best: the larger, the surer."""
        return self.second_score - self.score


def check_finder(
    rotations: str, landmarks: int, patch_side: int, num_rotations: int, score: str
) -> None:
    """Check settings of a `PoseFinder`.

    Raises:
        ValueError: One is wrong, or larger than any use; the message names it.
    """
    if rotations not in LARGEST:
        raise ValueError(f"pose.rotations={rotations}: give {' or '.join(LARGEST)}")
    if num_rotations not in GROUPS:
        raise ValueError(f"pose.num_rotations={num_rotations}: give 24 or 60")
    if score not in SCORES:
        raise ValueError(f"pose.score={score}: give {' or '.join(SCORES)}")
    check_count("pose.landmarks", landmarks, least=3)
    if landmarks > MOST_LANDMARKS:
        raise ValueError(f"pose.landmarks={landmarks}: give at most {MOST_LANDMARKS}")
    check_count("pose.patch_side", patch_side)
    if patch_side % 2 == 0 or patch_side > MOST_SIDE:
        raise ValueError(f"pose.patch_side={patch_side}: give an odd number, at most {MOST_SIDE}")


class PoseFinder(nn.Module):
    """Finds the pose of the mean shape in a scan.

    Args:
        mean_mm: Mean shape in the anatomical frame.
        spacings_mm: Voxel sides of the scans that patches are cut from, finest first.
        rotations: ``any``, or ``upright`` where scans lie much as in training.
        largest_scale: Above 1 the size is found, too, within this factor of the mean shape's.
        landmarks: Most landmarks of the shape that are looked at.
        patch_side: Patch side P in voxels, odd.
        num_rotations: Rotations of the starts, 24 or 60.
        precision: As of `Localizer`.
        score: ``evidence`` that a pose is right, or the ``expected_error`` of its landmarks.

    Raises:
        ValueError: A setting is wrong.
    """

    mean_mm_: Tensor
    chosen_: Tensor
    _pattern: Tensor

    def __init__(
        self,
        mean_mm: Float[Tensor, "L 3"],
        spacings_mm: Sequence[float],
        rotations: str = "any",
        largest_scale: float = 1.0,
        landmarks: int = 16,
        patch_side: int = 25,
        num_rotations: int = 24,
        precision: str = "auto",
        score: str = "evidence",
    ) -> None:
        super().__init__()
        check_finder(rotations, landmarks, patch_side, num_rotations, score)
        self.spacings_mm = tuple(spacings_mm)
        self.rotations = rotations
        self.largest_scale = largest_scale
        self.patch_side = patch_side
        self.num_rotations = num_rotations
        self.precision = precision
        self.network_dtype = torch.float32
        self.register_buffer("mean_mm_", mean_mm.float())
        self.register_buffer("chosen_", spread_landmarks(mean_mm, landmarks))
        channels = 3 * len(self.spacings_mm)
        has_evidence = score == "evidence"
        self.network = PoseNetwork(len(self.chosen_), channels, patch_side, has_evidence)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("_pattern", planes(patch_side), persistent=False)

    @property
    def shape_mm(self) -> Float[Tensor, "L 3"]:
        """Mean positions of the landmarks that are looked at."""
        return self.mean_mm_[self.chosen_]

    @property
    def extent_mm(self) -> float:
        """Largest extent of the mean shape."""
        return extent_mm(self.mean_mm_)

    @property
    def breadth_mm(self) -> float:
        """Middle one of the extents of the mean shape along x, y and z."""
        return float(np.median(np.ptp(self.mean_mm_.cpu().numpy(), axis=0)))

    @property
    def unit_mm(self) -> float:
        """Unit of displacements and expected errors."""
        return 10 * self.spacings_mm[0]

    @property
    def border(self) -> int:
        """Border of scans, in voxels, that holds what patches see beyond them."""
        return border_of(self.patch_side, max(SAMPLE_SCALE, self.largest_scale))

    def fitted(
        self, placed_mm: Float[Tensor, "N L 3"], said: PoseOutputs, which: Which = slice(None)
    ) -> Poses:
        """Poses that fit predicted landmarks best, each weighted by its expected error."""
        weights = torch.exp(-2 * said.log_error)
        return fit_poses(self.shape_mm[which], placed_mm, weights, self.largest_scale)

    def choose_dtype(self, device: torch.device) -> None:
        """Set the precision of the network to that of its training."""
        self.network_dtype = network_dtype(device, self.precision)

    def scans(self, levels: Sequence[Sequence[UInt8[Tensor, "_ _ _"]]]) -> list[Scans]:
        """Lay out scans, given at each spacing."""
        pairs = zip(levels, self.spacings_mm, strict=True)
        border = self.border
        return [Scans.of(volumes, spacing_mm, border) for volumes, spacing_mm in pairs]

    @torch.no_grad()
    def forward(
        self, levels: Sequence[UInt8[Tensor, "_ _ _"]], path: PosePath | None = None
    ) -> list[FoundPose]:
        """Find the pose in one scan.

        Args:
            levels: The scan at each spacing, from black 0 to white 255, about the same centre.
            path: Receives the poses on the way.

        Returns:
            Distinct poses, the best first, in mm from the centre of the scan.
        """
        device = self.mean_mm_.device
        scans = [one.to(device) for one in self.scans([[level] for level in levels])]
        rotations = start_rotations(self.rotations, self.num_rotations).to(device)
        poses = start_poses(scans[-1], self.extent_mm, self.breadth_mm, rotations)
        with torch.autocast(device.type, enabled=False):
            poses, scores = self.search(scans, poses, path)
        return self._found(poses, scores)

    @torch.no_grad()
    def refined(
        self, levels: Sequence[UInt8[Tensor, "_ _ _"]], found: Sequence[FoundPose], steps: int = 4
    ) -> list[FoundPose]:
        """Move poses that another finder found, and score them by this one, in their order."""
        device = self.mean_mm_.device
        scans = [one.to(device) for one in self.scans([[level] for level in levels])]
        with torch.autocast(device.type, enabled=False):
            poses, scores = self.iterate(scans, _as_poses(found, device), steps)
        return self._found(poses, scores)

    def search(
        self, scans: Sequence[Scans], poses: Poses, path: PosePath | None = None
    ) -> tuple[Poses, Float[Tensor, " N"]]:
        """Move poses round by round; returns distinct ones with their scores, the best first."""
        if path is not None:
            path.add(poses)
        scores = torch.zeros(len(poses.linear), device=poses.linear.device)
        for one in search_rounds(self.rotations):
            if one.landmarks < len(self.chosen_) and len(scores) <= one.kept:
                continue
            which = slice(min(one.landmarks, len(self.chosen_)))
            if one.turned_over:
                poses = turned_over(poses, self.mean_mm_, one.turned_over)
                if path is not None:
                    path.branch(poses, one.turned_over)
            poses, scores = self.iterate(scans, poses, one.steps, which, path, one.rescored)
            near = (np.radians(SAME_DEGREES), SAME_SHARE * self.extent_mm)
            best = distinct(poses, scores.argsort(stable=True), *near, one.kept)
            poses, scores = poses.take(best), scores[best]
            if path is not None:
                path.keep(best)
        return poses, scores

    def iterate(
        self,
        scans: Sequence[Scans],
        poses: Poses,
        steps: int,
        which: Which = slice(None),
        path: PosePath | None = None,
        rescored: bool = True,
    ) -> tuple[Poses, Float[Tensor, " N"]]:
        """Move poses by some steps; returns them and their scores, of where they ended if asked."""
        dtype = torch.float32 if rescored else self.network_dtype
        said = None
        for _ in range(steps):
            placed_mm, said = self.predicted(scans, poses, which, dtype)
            poses = self.fitted(placed_mm, said, which)
            if path is not None:
                path.add(poses)
        if rescored or said is None:
            placed_mm, said = self.predicted(scans, poses, which, dtype)
            return poses, self.scores(placed_mm, said, which)
        return poses, said.log_error.mean(dim=1)

    def scores(
        self, placed_mm: Float[Tensor, "N L 3"], said: PoseOutputs, which: Which = slice(None)
    ) -> Float[Tensor, " N"]:
        """Scores of poses, the lower, the surer, by what `predicted` gives of them."""
        return -said.evidence.sum(dim=1)

    def predicted(
        self,
        scans: Sequence[Scans],
        poses: Poses,
        which: Which = slice(None),
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Float[Tensor, "N L 3"], PoseOutputs]:
        """Predicted landmarks in scan mm, and what the network says, for N poses.

        The network computes in a data type, positions are in float32.
        """
        count = max(1, CHUNK // len(self.chosen_[which]))
        parts = [
            self.predicted_at_once(scans, poses.take(slice(begin, begin + count)), which, dtype)
            for begin in range(0, len(poses.linear), count)
        ]
        placed, said = zip(*parts, strict=True)
        return torch.cat(placed), PoseOutputs(*map(torch.cat, zip(*said, strict=True)))

    def predicted_at_once(
        self,
        scans: Sequence[Scans],
        poses: Poses,
        which: Which,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Float[Tensor, "N L 3"], PoseOutputs]:
        """As `predicted`, in one batch."""
        index = torch.zeros(poses.linear.shape[0], dtype=torch.long, device=poses.linear.device)
        patches, centres_mm = self.patches(scans, index, poses, which)
        lower = dtype != torch.float32
        with torch.autocast(patches.device.type, dtype, enabled=lower):
            said = self.network(scaled(patches), which)
        return centres_mm + self.unit_mm * turned(poses.linear, said.displacement), said

    def patches(
        self,
        scans: Sequence[Scans],
        index: Int[Tensor, " N"],
        poses: Poses,
        which: Which = slice(None),
        box: Box | None = None,
    ) -> tuple[Num[Tensor, "N L C P P"], Float[Tensor, "N L 3"]]:
        """Cut the patches of poses of the mean shape; returns them and their centres."""
        device = poses.linear.device
        points_mm = poses.place(self.shape_mm[which].to(device))
        return cut_levels_posed(scans, index, poses, points_mm, self._pattern.to(device), box)

    def _found(self, poses: Poses, scores: Float[Tensor, " N"]) -> list[FoundPose]:
        rotation = unit(poses.linear).double().cpu().numpy()
        scale = poses.linear[..., 0].norm(dim=-1).tolist()
        shift_mm, score = poses.shift_mm.double().cpu().numpy(), [*scores.tolist(), float("inf")]
        second = [score[1], *([score[0]] * (len(scale) - 1))]
        return [
            FoundPose(Pose(rotation[i], shift_mm[i], scale[i]), score[i], second[i])
            for i in range(len(scale))
        ]


def extent_mm(shape_mm: Float[Tensor, "L 3"]) -> float:
    """Largest distance between two landmarks of a shape."""
    return float(torch.cdist(shape_mm, shape_mm).max())


def spread_landmarks(shape_mm: Float[Tensor, "L 3"], most: int) -> Int[Tensor, " l"]:
    """Landmarks spread over a shape: each lies farthest from those before it."""
    chosen = [0]
    while len(chosen) < min(most, len(shape_mm)):
        nearest = torch.cdist(shape_mm, shape_mm[chosen]).amin(dim=1)
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)


def _as_poses(found: Sequence[FoundPose], device: torch.device) -> Poses:
    """Found poses as tensors."""
    linear = np.stack([one.pose.scale * one.pose.rotation for one in found])
    shift_mm = np.stack([one.pose.shift_mm for one in found])
    return Poses(*(torch.from_numpy(one).float().to(device) for one in (linear, shift_mm)))

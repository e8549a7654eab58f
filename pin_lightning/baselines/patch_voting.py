"""Voting patches: patches all over the volume say where the landmarks are, and are averaged.

PIN without its iteration. With ``space=displacements`` a patch says how far each landmark is from
its centre (Zhang et al., "Detecting anatomical landmarks from limited medical imaging data using
two-stage task-oriented deep neural networks", IEEE Transactions on Image Processing 2017); with
``space=shape`` it says how far the centre of the shape is, and the parameters of a statistical
shape model (Aubert et al., "Toward automated 3D spine reconstruction from biplanar radiographs
using CNN for statistical spine model fitting", IEEE Transactions on Medical Imaging 2019).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeAlias

import torch
from torch import nn

from pin_lightning.baselines.base import LearningSystem, Problem
from pin_lightning.baselines.checks import check
from pin_lightning.baselines.patches import PatchCutter, positions_all_over_mm, positions_around_mm
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.networks import compact_features, head
from pin_lightning.method.pyramid import Pyramid
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.method.trajectory import Trajectory

PATCHES_AT_ONCE = 512
UNIT_SHARE = 0.25  # of the mean side of a volume, by which network outputs are scaled to mm
# Patches of a training step that lie around a landmark, and how far off at most, as a share of the
# mean side: these are the patches whose votes will count.
NEAR_SHARE = 0.7
NEAR = 0.12
Claims: TypeAlias = Float[Tensor, "N L 3"]  # landmarks relative to the centres of N patches, mm


class PatchVoting(LearningSystem):
    """A network that sees a patch and says where all landmarks are; its votes are averaged.

    Args:
        problem: What it is built for.
        most_voxels: Voxels of a volume, at most: they decide the spacing.
        space: What the network says: ``displacements`` of each landmark, or ``shape``: that of the
            shape's centre, and shape parameters.
        components: Shape parameters at most, with ``shape``; fewer where there are few shapes.
        votes: Patches that vote, at most; they cover the volume evenly.
        reach: Distance at which the weight of a vote has fallen to 1/e, as a share of the mean side
            of the volume; None lets all votes count alike.
        patches: Patches of each volume of a training step.
        patch_side: Patch side in voxels, odd; None takes three eighths of the volume.
        patch_spacings: Spacings at which patches are cut, in voxels.
        widths: As of `CompactNetwork`.
        hidden: Likewise.
        dropout: Likewise.

    Raises:
        ValueError: A setting is wrong.
    """

    name: ClassVar[str] = "patch_voting"
    largest: ClassVar[Mapping[str, float]] = {"most_voxels": 2**28, "components": 3000}

    def __init__(
        self,
        problem: Problem,
        most_voxels: int = 20_000,
        space: str = "displacements",
        components: int = 20,
        votes: int = 4000,
        reach: float | None = 0.025,
        patches: int = 6,
        patch_side: int | None = 15,
        patch_spacings: Sequence[int] = (1,),
        widths: Sequence[int] = (32, 64),
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(problem, most_voxels)
        check("space", space, space in SPACES, f"one of {', '.join(SPACES)}")
        check("components", components, components >= 1, "at least 1")
        check("votes", votes, votes >= 1, "at least 1")
        check("reach", reach, reach is None or reach > 0, "a share above 0, or null")
        check("patches", patches, patches >= 1, "at least 1")
        self.votes = votes
        self.patches = patches
        self.cutter = PatchCutter(self.input_grid, patch_side, patch_spacings)
        side_mm = math.prod(self.grid.extent_mm) ** (1 / 3)
        self.reach_mm = math.inf if reach is None else reach * side_mm
        self.unit_mm = UNIT_SHARE * side_mm
        self.near_mm = NEAR * side_mm
        self.space = SPACES[space](problem.num_landmarks, self.unit_mm, components)
        sizes = (self.cutter.channels, self.cutter.side, widths)
        features, num_features = compact_features(*sizes)
        out = head(num_features, hidden, self.space.num_outputs, dropout)
        self.network = nn.Sequential(features, nn.Flatten(), out)

    def learn_shapes(self, shapes_mm: Float[Tensor, "M L 3"]) -> None:
        """Learn the mean shape, and with ``space=shape`` the shape model."""
        super().learn_shapes(shapes_mm)
        self.space.learn(shapes_mm)

    def training_loss(
        self,
        volumes: Num[Tensor, "B X Y Z"],
        landmarks_mm: Float[Tensor, "B L 3"],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Distance from claimed to true landmarks, in units of a quarter of the mean side.

        Most patches lie around a landmark, the others all over the volume. Those near a landmark
        count more, as their votes do, but all count: what is far must not claim to be near.
        """
        pyramid = self.cutter.pyramid(volumes)
        centres_mm = self._draw(landmarks_mm.cpu(), generator).to(volumes.device)
        index = torch.arange(len(volumes), device=volumes.device).repeat_interleave(self.patches)
        claimed = self.claims(pyramid, index, centres_mm.flatten(0, 1))
        truth = (landmarks_mm[:, None] - centres_mm[:, :, None]).flatten(0, 1)
        known = torch.isfinite(truth).all(dim=-1)
        truth = torch.where(known[..., None], truth, 0.0)
        weight = known / (1 + truth.norm(dim=-1) / self.reach_mm)
        missed = (claimed - truth).norm(dim=-1) / self.unit_mm
        return {"vote_loss": (weight * missed).sum() / weight.sum().clamp(min=1e-12)}

    def _draw(
        self, landmarks_mm: Float[Tensor, "B L 3"], generator: torch.Generator
    ) -> Float[Tensor, "B N 3"]:
        """Draw the centres of patches."""
        shape = (len(landmarks_mm), self.patches)
        anywhere_mm = positions_all_over_mm(shape, self.grid, generator)
        which = torch.randint(landmarks_mm.shape[1], (*shape, 1), generator=generator)
        chosen_mm = landmarks_mm.gather(1, which.expand(-1, -1, 3))
        near_mm = positions_around_mm(chosen_mm, (0.0, self.near_mm), generator)
        is_near = torch.rand(*shape, 1, generator=generator) < NEAR_SHARE
        return torch.where(is_near & near_mm.isfinite(), near_mm, anywhere_mm)

    def claims(
        self, pyramid: Pyramid, volume_index: Int[Tensor, " N"], centres_mm: Float[Tensor, "N 3"]
    ) -> Claims:
        """What patches say of where the landmarks are, relative to their centres, mm."""
        with self.in_precision(centres_mm.device):
            patches = self.cutter.network_input(pyramid, volume_index, centres_mm[:, None])
            outputs = self.network(patches[:, 0])
        return self.space.claims(outputs.float())

    def locate(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Average the votes of each volume."""
        centres_mm = even_positions_mm(self.grid.extent_mm, self.votes).to(volumes.device)
        found = []
        for volume in volumes:
            pyramid = self.cutter.pyramid(volume[None])
            index = torch.zeros(PATCHES_AT_ONCE, dtype=torch.long, device=volume.device)
            claimed = [
                self.claims(pyramid, index[: len(some)], some)
                for some in centres_mm.split(PATCHES_AT_ONCE)
            ]
            found.append(mean_vote(centres_mm, torch.cat(claimed), self.reach_mm))
        positions_mm, spread_mm = (torch.stack(one) for one in zip(*found, strict=True))
        return Trajectory.of_one_step(self.mean_mm_, positions_mm, spread_mm)


class Space(nn.Module):
    """What a network says of a patch.

    Args:
        num_landmarks: Landmarks L.
        unit_mm: Length of a displacement of one.
        num_outputs: Outputs Q of the network.
    """

    def __init__(self, num_landmarks: int, unit_mm: float, num_outputs: int) -> None:
        super().__init__()
        self.num_landmarks = num_landmarks
        self.unit_mm = unit_mm
        self.num_outputs = num_outputs

    def learn(self, shapes_mm: Float[Tensor, "M L 3"]) -> None:
        """Learn from the training shapes; here, nothing."""

    def claims(self, outputs: Float[Tensor, "N Q"]) -> Claims:
        """Landmarks relative to the centres of the patches, mm."""
        raise NotImplementedError


class DisplacementSpace(Space):
    """The displacement of each landmark from the centre of the patch (Zhang et al.)."""

    def __init__(self, num_landmarks: int, unit_mm: float, components: int) -> None:
        super().__init__(num_landmarks, unit_mm, 3 * num_landmarks)

    def claims(self, outputs: Float[Tensor, "N Q"]) -> Claims:
        """Landmarks relative to the centres of the patches, mm."""
        return self.unit_mm * outputs.unflatten(1, (self.num_landmarks, 3))


class ShapeSpace(Space):
    """The displacement of the shape's centre, and shape parameters in SDs (Aubert et al.).

    The centre is the mean of the landmarks; the shape model holds shapes about their centre.
    """

    def __init__(self, num_landmarks: int, unit_mm: float, components: int) -> None:
        check("space", "shape", num_landmarks > 1, "displacements: there is only one landmark")
        self.components = min(components, 3 * num_landmarks)
        super().__init__(num_landmarks, unit_mm, 3 + self.components)
        self.shape_model = PCAShapeModel()

    def learn(self, shapes_mm: Float[Tensor, "M L 3"]) -> None:
        """Learn the shape model; outputs beyond the components that there are count for nothing.

        Raises:
            ValueError: There is one shape only.
        """
        few = "displacements: there is one training case, and shapes need two"
        check("space", "shape", len(shapes_mm) > 1, few)
        centred = shapes_mm - shapes_mm.mean(dim=1, keepdim=True)
        most = min(self.components, len(shapes_mm) - 1)
        self.shape_model = PCAShapeModel(most).fit(centred, (0.0, 0.0, 0.0))

    def claims(self, outputs: Float[Tensor, "N Q"]) -> Claims:
        """Landmarks relative to the centres of the patches, mm."""
        centre_mm = self.unit_mm * outputs[:, None, :3]
        sd = self.shape_model.sd_
        return centre_mm + self.shape_model.decode(sd * outputs[:, 3 : 3 + len(sd)])


SPACES: Mapping[str, Callable[[int, float, int], Space]] = {
    "displacements": DisplacementSpace,
    "shape": ShapeSpace,
}


def even_positions_mm(extent_mm: Sequence[float], most: int) -> Float[Tensor, "N 3"]:
    """Centres of equal cells, as cubic as can be, into which a volume is divided, grid mm.

    >>> even_positions_mm((4.0, 2.0, 2.0), 2)
    tensor([[-1.,  0.,  0.],
            [ 1.,  0.,  0.]])
    """
    counts = [1, 1, 1]
    while True:
        cell_mm = [side / count for side, count in zip(extent_mm, counts, strict=True)]
        more = list(counts)
        more[cell_mm.index(max(cell_mm))] += 1  # divide the longest side of a cell
        if math.prod(more) > most:
            break
        counts = more
    axes = [
        (torch.arange(count) - (count - 1) / 2) * (side / count)
        for count, side in zip(counts, extent_mm, strict=True)
    ]
    return torch.cartesian_prod(*axes)


def mean_vote(
    centres_mm: Float[Tensor, "N 3"], claimed: Claims, reach_mm: float
) -> tuple[Float[Tensor, "L 3"], Float[Tensor, " L"]]:
    """Average the votes of patches with weights ``exp(-d / reach)``, d the distance they claim.

    Args:
        centres_mm: Centres of the patches.
        claimed: Where they say that the landmarks are, relative to them.
        reach_mm: Distance at which a weight has fallen to 1/e; infinite for equal weights.

    Returns:
        Positions, and the weighted root-mean-square distances of the votes from them.
    """
    weight = torch.softmax(-claimed.norm(dim=-1) / reach_mm, dim=0)[..., None]
    votes_mm = centres_mm[:, None] + claimed
    mean_mm = (weight * votes_mm).sum(dim=0)
    return mean_mm, (weight * (votes_mm - mean_mm).square()).sum(dim=(0, 2)).sqrt()

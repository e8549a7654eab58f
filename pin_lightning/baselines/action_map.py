"""Supervised action classifier: at each voxel, the direction in which the landmark lies.

Xu et al., "Supervised action classifier: approaching landmark detection as image partitioning",
MICCAI 2017. A U-Net of the whole volume gives an action map for each landmark, the probabilities of
six directions at each voxel. All voxels then vote along each axis where the landmark is.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from pin_lightning.baselines.base import LearningSystem, Problem
from pin_lightning.baselines.checks import check
from pin_lightning.baselines.whole_volume import padded, strides_of, unet
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.targets import direction_target
from pin_lightning.method.trajectory import Trajectory

ACTIONS = 6
NEAR_SDS = 2.0  # of the training shapes, around a landmark, from which half of the voxels are drawn
MOST_MOVES = 50  # of the window of the refinement, which walks by up to its radius


class ActionMap(LearningSystem):
    """A U-Net that classifies at each voxel in which direction each landmark lies.

    The mean shape has no say: with scores added that point to it, which are right for most voxels
    from the start, the loss hardly fell.

    Args:
        problem: What it is built for.
        most_voxels: Voxels of a volume, at most: they decide the spacing.
        widths: Feature maps of the U-Net at full, half, quarter, ... resolution; the last two have
            the same.
        sampled_voxels: Voxels of a volume at which a step computes the loss, at most.
        window: Voxels on either side of a landmark whose votes refine its position.

    Raises:
        ValueError: A setting is wrong, or MONAI is not installed.
    """

    name: ClassVar[str] = "action_map"
    needs: ClassVar[tuple[str, ...]] = ("monai",)
    largest: ClassVar[Mapping[str, float]] = {
        "most_voxels": 2**28,
        "sampled_voxels": 2**28,
        "window": 1000,
    }

    def __init__(
        self,
        problem: Problem,
        most_voxels: int = 30_000,
        widths: Sequence[int] = (8, 16, 32, 64),
        sampled_voxels: int = 2000,
        window: int = 3,
    ) -> None:
        super().__init__(problem, most_voxels)
        enough = len(widths) >= 2 and min(widths) >= 1
        check("widths", list(widths), enough, "two or more widths of at least 1")
        check("sampled_voxels", sampled_voxels, sampled_voxels >= 2, "at least 2")
        check("window", window, window >= 1, "at least 1 voxel")
        self.sampled_voxels = sampled_voxels
        self.window = window
        self.multiple = 2 ** len(strides_of(widths)[1:])
        self.features = nn.Sequential(unet(widths, widths[1], "INSTANCE"), nn.LeakyReLU())
        self.heads = nn.ModuleList(
            nn.Linear(widths[1], ACTIONS) for _ in range(problem.num_landmarks)
        )
        self.register_buffer("sd_mm_", torch.ones(problem.num_landmarks))

    def training_loss(
        self,
        volumes: Num[Tensor, "B X Y Z"],
        landmarks_mm: Float[Tensor, "B L 3"],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Cross-entropy of the actions at voxels drawn at random, of landmarks that are known."""
        grid, size = self.input_grid, volumes.shape[1:]
        features = self._features(volumes).movedim(1, -1)
        known = torch.isfinite(landmarks_mm).all(dim=-1)
        centres_ijk = grid.mm_to_ijk(torch.where(known[..., None], landmarks_mm, 0.0))
        batch = torch.arange(len(volumes), device=volumes.device)[:, None]
        total = features.new_zeros((), dtype=torch.float32)
        for landmark, head in enumerate(self.heads):  # together they would take much memory
            reach = NEAR_SDS * float(self.sd_mm_[landmark]) / grid.spacing_mm
            settings = (size, self.sampled_voxels, reach, generator)
            voxels_ijk = drawn_voxels(centres_ijk[:, landmark].cpu(), *settings).to(volumes.device)
            target = action_target(centres_ijk[:, landmark, None] - voxels_ijk)
            x, y, z = voxels_ijk.unbind(-1)
            logits = head(features[batch, x, y, z]).float()
            missed = nn.functional.cross_entropy(logits.movedim(-1, 1), target, reduction="none")
            total = total + (missed.mean(dim=1) * known[:, landmark]).sum()
        return {"action_loss": total / known.sum().clamp(min=1)}

    def locate(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Aggregate the votes of all voxels, landmark by landmark: action maps are large."""
        grid, found = self.input_grid, []
        for volume in volumes:
            with self.in_precision(volume.device):
                features = self._features(volume[None])[0].movedim(0, -1)
            for head in self.heads:
                with self.in_precision(volume.device):
                    logits = head(features)
                votes = axis_votes(torch.softmax(logits.float(), dim=-1))
                ijk = refined(votes, voted(votes), self.window)
                found.append((ijk, spread(votes, ijk)))
        shape = (len(volumes), len(self.heads))
        ijk, width = (torch.stack(one).unflatten(0, shape) for one in zip(*found, strict=True))
        return Trajectory.of_one_step(self.mean_mm_, grid.ijk_to_mm(ijk), width * grid.spacing_mm)

    def learn_shapes(self, shapes_mm: Float[Tensor, "M L 3"]) -> None:
        """Learn the mean shape, and how far landmarks are from it along an axis."""
        super().learn_shapes(shapes_mm)
        mean_square = (shapes_mm - self.mean_mm_).square().mean(dim=(0, 2))
        self.sd_mm_ = mean_square.sqrt().clamp(min=self.input_grid.spacing_mm)

    def _features(self, volumes: Num[Tensor, "B X Y Z"]) -> Float[Tensor, "B C X Y Z"]:
        """Features of volumes, 0 to 255."""
        x, y, z = volumes.shape[1:]
        features: Tensor = self.features(padded(volumes, self.multiple))
        return features[..., :x, :y, :z]


def drawn_voxels(
    centres_ijk: Float[Tensor, "B 3"],
    size: Sequence[int],
    number: int,
    reach: float,
    generator: torch.Generator,
) -> Int[Tensor, "B N 3"]:
    """Draw voxels at random: half of them anywhere, half around a landmark.

    Args:
        centres_ijk: The landmark in each volume.
        size: Voxels of the volume.
        number: Voxels N to draw.
        reach: SD of their distance from the landmark along each axis, in voxels.
        generator: On the CPU.
    """
    sides = torch.tensor(size)
    anywhere = torch.rand(len(centres_ijk), number // 2, 3, generator=generator) * sides
    near = torch.randn(len(centres_ijk), number - number // 2, 3, generator=generator) * reach
    near = (centres_ijk[:, None] + near).round()
    return torch.cat([anywhere, near], dim=1).long().clamp(min=0).minimum(sides - 1)


def action_target(displacement: Float[Tensor, "*A 3"]) -> Int[Tensor, "*A"]:
    """Action of a voxel (Eq. 1 of Xu et al.): the axis of the largest displacement, and its sign.

    Args:
        displacement: From the voxel to the landmark.

    Returns:
        ``2 a`` towards larger and ``2 a + 1`` towards smaller positions along axis a.
    """
    return direction_target(displacement.reshape(-1, 3)).view(displacement.shape[:-1])


def axis_votes(actions: Float[Tensor, "X Y Z A"]) -> Float[Tensor, "3 X Y Z 2"]:
    """Probabilities, of each axis, that the landmark lies towards larger and smaller positions."""
    return actions.unflatten(-1, (3, 2)).movedim(3, 0)


def voted(votes: Float[Tensor, "3 X Y Z 2"]) -> Int[Tensor, " 3"]:
    """Voxel that most votes point to, those that point away taken off, along each axis by itself.

    A vote along an axis is for all positions on its side of the voxel that casts it, and against
    those on the other side. With the balance of votes for larger over smaller positions summed over
    each plane across the axis, ``m(i)``, position ``c`` gets ``sum_{i<c} m(i) - sum_{i>c} m(i)``.
    """
    best = []
    for axis in range(3):
        balance = plane_balances(votes, axis)
        below = balance.cumsum(dim=0) - balance
        best.append((2 * below + balance - balance.sum()).argmax())
    return torch.stack(best)


def plane_balances(votes: Float[Tensor, "3 *S 2"], axis: int) -> Float[Tensor, " N"]:
    """Votes for larger minus votes for smaller positions along an axis, summed over its planes."""
    own = votes[axis]
    return (own[..., 0] - own[..., 1]).movedim(axis, 0).flatten(1).sum(dim=1)


def refined(
    votes: Float[Tensor, "3 X Y Z 2"], start_ijk: Int[Tensor, " 3"], window: int
) -> Float[Tensor, " 3"]:
    """Sub-voxel position at whose window the votes are in balance along each axis.

    Around the landmark the action map is odd: what points towards it from one side does from the
    other. So in a window around it the votes cancel. Moved by one voxel along an axis, the window
    gains a plane that points back and loses one that points forth, so the imbalance as a share of
    these two planes is the distance to the landmark. The window follows it.

    Args:
        votes: From `axis_votes`.
        start_ijk: Where to start, a voxel.
        window: Voxels on either side; fewer at the border of the volume, alike on both sides.
    """
    last = torch.tensor(votes.shape[1:4], device=votes.device) - 1
    centre, seen = start_ijk, set()
    position = centre.to(votes.dtype)
    for _ in range(MOST_MOVES):
        seen.add(tuple(centre.tolist()))
        radius = torch.minimum(centre, last - centre).clamp(max=window)
        low, high = (centre - radius).tolist(), (centre + radius + 1).tolist()
        x, y, z = (slice(*ends) for ends in zip(low, high, strict=True))
        step = torch.stack([_step(plane_balances(votes[:, x, y, z], axis)) for axis in range(3)])
        position = (centre + step).clamp(min=0).minimum(last)
        centre = position.round().long()
        if tuple(centre.tolist()) in seen:
            break
    return position


def _step(balance: Float[Tensor, " N"]) -> Tensor:
    """Voxels to the place where a window is in balance, no more than its radius."""
    radius = max((len(balance) - 1) / 2, 0.5)
    gain = (balance[0] - balance[-1]).clamp(min=1e-6)
    return (balance.sum() / gain).clamp(-radius, radius)


def spread(votes: Float[Tensor, "3 X Y Z 2"], ijk: Float[Tensor, " 3"]) -> Tensor:
    """Root-mean-square distance at which the action map itself expects the landmark, in voxels.

    On the line along an axis through the landmark, the share of the votes that point away from it
    is the probability ``q(t)`` that the landmark lies beyond distance ``t``, whose mean square is
    the integral of ``2 t q(t)``. Within a voxel even certain votes leave a variance of 1/12.

    Args:
        votes: From `axis_votes`.
        ijk: The landmark.
    """
    at = ijk.round().long().tolist()
    squares = votes.new_zeros(())
    for axis in range(3):
        place = [slice(None) if other == axis else at[other] for other in range(3)]
        line = votes[(axis, *place)]
        distance = torch.arange(len(line), device=votes.device) - ijk[axis]
        away = torch.where(distance > 0, line[:, 0], line[:, 1])
        share = away / line.sum(dim=1).clamp(min=1e-12)
        squares = squares + 1 / 12 + (2 * distance.abs() * share).sum()
    return squares.sqrt()

"""Agents that walk to the landmarks, learnt by reinforcement (the competitor in PIN's Table 1).

Ghesu et al., "Multi-scale deep reinforcement learning for real-time 3D-landmark detection in CT
scans", PAMI 2019; Alansary et al., "Evaluating reinforcement learning agents for anatomical
landmark detection", Medical Image Analysis 2019. Each landmark and each scale has a Q-network. The
agent starts at the mean training position, moves by single voxels until it goes round in a cycle,
and goes on from there at the next finer scale.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from pin_lightning.baselines.base import Log, OwnLoopSystem, Problem, TrainingCases
from pin_lightning.baselines.boxes import action_steps, bordered, cut_boxes
from pin_lightning.baselines.checks import check
from pin_lightning.baselines.q_learning import QNetwork, learn
from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor, UInt8
from pin_lightning.method.pyramid import coarser, coarser_grid
from pin_lightning.method.trajectory import Trajectory

MOST_MOVES = 40  # of a search at one scale
REACH_SDS = 2.0  # of a landmark from its mean position, within which the first scale starts
REACH_COARSE = 2.0  # voxels of the coarser scale, within which the next one starts
POOL = 16  # volumes at hand, augmented
EPISODES = 4  # begun in a volume, until another takes its place
LEAST_SLOPE = 0.15  # of what an agent prefers, for each voxel: smaller ones are taken for it


class Agent(OwnLoopSystem):
    """A Q-network for each landmark at each scale.

    Args:
        problem: What it is built for.
        scales: Spacings in voxels of the working volumes, from coarse to fine, each a multiple of
            the last.
        box_side: Side of the box that an agent sees, in voxels of its scale, odd.
        widths: Feature maps of the convolutions, each of which halves the side of the box.
        hidden: Width of the hidden layer.
        learning_rate: Learning rate.
        discount: Weight of the reward of a move against that of the move before.

    Raises:
        ValueError: A setting is wrong, or a package is not installed.
    """

    name: ClassVar[str] = "agent"
    needs: ClassVar[tuple[str, ...]] = ("gymnasium", "stable_baselines3")
    largest: ClassVar[Mapping[str, float]] = {"scales": 1000, "box_side": 201}
    without: ClassVar[Mapping[str, str]] = {
        "loader.batch_size": "model={name} draws volume by volume"
    }

    def __init__(
        self,
        problem: Problem,
        scales: Sequence[int] = (4, 2, 1),
        box_side: int = 15,
        widths: Sequence[int] = (8, 16, 32),
        hidden: int = 64,
        learning_rate: float = 3e-3,
        discount: float = 0.5,
    ) -> None:
        super().__init__(problem)
        falling = all(coarse > fine for coarse, fine in pairwise(scales))
        right = len(scales) > 0 and scales[-1] >= 1 and all(one % scales[-1] == 0 for one in scales)
        check("scales", list(scales), falling and right, "falling multiples of the last one")
        check("box_side", box_side, box_side >= 3 and box_side % 2 == 1, "an odd number from 3 on")
        enough = len(widths) >= 1 and min(widths) >= 1
        check("widths", list(widths), enough, "one or more widths of at least 1")
        check("hidden", hidden, hidden >= 1, "at least 1")
        check("learning_rate", learning_rate, learning_rate > 0, "a positive number")
        check("discount", discount, 0 <= discount < 1, "0 to less than 1")
        from gymnasium.spaces import Box

        self.scales = tuple(scales)
        self.box_side = box_side
        self.of_features = {"widths": list(widths), "hidden": hidden}
        self.of_dqn = {"learning_rate": learning_rate, "discount": discount}
        space = Box(0, 255, (1, box_side, box_side, box_side), np.uint8)
        # Of the first landmark at all scales, then of the second, ...
        self.networks = nn.ModuleList(
            QNetwork(space, self.of_features) for _ in range(problem.num_landmarks * len(scales))
        )
        self.register_buffer("sd_mm_", torch.ones(problem.num_landmarks, 3))

    @property
    def input_factor(self) -> int:
        """The finest scale."""
        return self.scales[-1]

    @property
    def scale_grids(self) -> list[Grid]:
        """Grid of the volumes of each scale."""
        return [coarser_grid(self.grid, scale) for scale in self.scales]

    def learn_shapes(self, shapes_mm: Float[Tensor, "M L 3"]) -> None:
        """Learn the mean shape, and how far landmarks are from it along each axis."""
        super().learn_shapes(shapes_mm)
        self.sd_mm_ = (shapes_mm - self.mean_mm_).square().mean(dim=0).sqrt()

    def fit(self, cases: TrainingCases, steps: int, log: Log) -> None:
        """Train the networks one after the other, each by its share of the steps, which are moves.

        Landmarks that no case has keep the weights that they began with.
        """
        from pin_lightning.baselines.landmark_search import LandmarkSearch

        scenes = _Scenes(cases, self._levels)
        share = max(1, steps // len(self.networks))
        for search, network in enumerate(self.networks):
            landmark, scale = divmod(search, len(self.scales))
            if not torch.isfinite(cases.landmarks_mm[:, landmark]).all(dim=-1).any():
                continue
            draw = scenes.of(landmark, scale, self.scale_grids[scale])
            environment = partial(LandmarkSearch, draw, **self._search_settings(landmark, scale))

            def note(moves: int, reward: float, before: int = search * share) -> None:
                log(min(before + moves, steps), {"reward_voxels": reward})

            assert isinstance(network, QNetwork)
            settings, seed = self.of_features, self.problem.seed + search
            learn(network, environment, settings, share, seed, note, **self.of_dqn)

    def locate(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Let the agents walk, all volumes at once."""
        levels, paths, spreads = self._levels(volumes), [], []
        longest = 1 + len(self.scales) * (MOST_MOVES + 2)  # the mean; start, moves and centre
        for landmark in range(self.problem.num_landmarks):
            path = [self.mean_mm_[landmark].expand(len(volumes), 1, 3)]
            for scale, (level, grid) in enumerate(zip(levels, self.scale_grids, strict=True)):
                network = self.networks[landmark * len(self.scales) + scale]
                last = torch.tensor(grid.size, device=volumes.device) - 1
                start = grid.mm_to_ijk(path[-1][:, -1]).round().clamp(min=0).minimum(last).long()
                walk = walked(self._policy(network, level), start, last)
                path += [
                    grid.ijk_to_mm(walk.path_ijk.float()),
                    grid.ijk_to_mm(walk.end_ijk)[:, None],
                ]
            whole = torch.cat(path, dim=1)
            rest = whole[:, -1:].expand(-1, longest - whole.shape[1], -1)
            paths.append(torch.cat([whole, rest], dim=1))
            spread = spread_around(self._policy(network, level), walk.end_ijk, last)
            spreads.append(spread * grid.spacing_mm)
        landmarks_mm = torch.stack(paths, dim=2)
        apart = (landmarks_mm - landmarks_mm[:, -1:]).abs().amax(dim=(2, 3)) > 0
        numbers = torch.arange(1, apart.shape[1] + 1, device=apart.device)
        iterations = (apart * numbers).amax(dim=1, keepdim=True)
        spread_mm = torch.stack(spreads, dim=1)
        ends = (landmarks_mm[:, -1], spread_mm, torch.zeros_like(spread_mm))
        return Trajectory(landmarks_mm[:, :, None], iterations, *ends)

    def _levels(self, volumes: Num[Tensor, "V X Y Z"]) -> list[Num[Tensor, "V _ _ _"]]:
        """Bordered volumes of each scale."""
        factors = [scale // self.scales[-1] for scale in self.scales]
        return [bordered(coarser(volumes, factor), self.box_side) for factor in factors]

    def _policy(
        self, network: nn.Module, level: Num[Tensor, "V _ _ _"]
    ) -> Callable[[Int[Tensor, "N 3"]], Float[Tensor, "N A"]]:
        """Values of the actions at voxels, as many in each volume."""

        def values(positions_ijk: Int[Tensor, "N 3"]) -> Float[Tensor, "N A"]:
            boxes = cut_boxes(level, positions_ijk.unflatten(0, (len(level), -1)), self.box_side)
            with self.in_precision(level.device):
                found: Tensor = network(boxes)
            return found.float()

        return values

    def _search_settings(self, landmark: int, scale: int) -> dict[str, Any]:
        """Where episodes of a search start, and how long they are.

        The first scale is searched around the mean position, by more than landmarks vary; the
        others around the landmark, by what the coarser scale leaves.
        """
        grid = self.scale_grids[scale]
        if scale == 0:
            sds = self.sd_mm_[landmark] / grid.spacing_mm
            reach = (REACH_SDS * sds).clamp(min=REACH_COARSE).tolist()
            centre = grid.mm_to_ijk(self.mean_mm_[landmark]).tolist()
        else:
            reach = [REACH_COARSE * self.scales[scale - 1] / self.scales[scale]] * 3
            centre = None
        most = 2 * math.ceil(sum(reach))
        return {"side": self.box_side, "reach": reach, "most_moves": most, "centre": centre}


class _Scenes:
    """Augmented volumes at all scales, of which some are kept at hand, as drawing takes time."""

    def __init__(
        self,
        cases: TrainingCases,
        levels: Callable[[Num[Tensor, "V X Y Z"]], list[Num[Tensor, "V _ _ _"]]],
    ) -> None:
        self.cases = cases
        self.levels = levels
        self.pool: list[tuple[list[UInt8[Tensor, "_ _ _"]], Float[Tensor, "L 3"]]] = []
        self.drawn = 0

    def of(
        self, landmark: int, scale: int, grid: Grid
    ) -> Callable[[], tuple[UInt8[Tensor, "_ _ _"], Float[np.ndarray, " 3"]]]:
        """What draws volumes of a scale in which a landmark is known, with its voxel."""

        def draw() -> tuple[UInt8[Tensor, "_ _ _"], Float[np.ndarray, " 3"]]:
            while True:
                levels, landmarks_mm = self._next()
                target_mm = landmarks_mm[landmark]
                if torch.isfinite(target_mm).all():
                    return levels[scale], grid.mm_to_ijk(target_mm).double().numpy()

        return draw

    def _next(self) -> tuple[list[UInt8[Tensor, "_ _ _"]], Float[Tensor, "L 3"]]:
        """Each volume of the pool in turn, one of them replaced."""
        place = self.drawn % POOL
        if self.drawn < POOL or (self.drawn // POOL + place) % EPISODES == 0:
            volumes, landmarks_mm = self.cases.draw(1)
            levels = [one[0].cpu() for one in self.levels(volumes.round().to(torch.uint8))]
            self.pool[place : place + 1] = [(levels, landmarks_mm[0].cpu())]
        self.drawn += 1
        return self.pool[place]


@dataclass(frozen=True)
class Walk:
    """Walks of an agent at one scale, one in each volume.

    Attributes:
        path_ijk: Voxels, the start first; where an agent has stopped it stays.
        end_ijk: Centres of the cycles in which they ended; the last voxel but one without a cycle.
    """

    path_ijk: Int[Tensor, "V T 3"]
    end_ijk: Float[Tensor, "V 3"]


def walked(
    policy: Callable[[Int[Tensor, "V 3"]], Float[Tensor, "V A"]],
    start_ijk: Int[Tensor, "V 3"],
    last_ijk: Int[Tensor, " 3"],
    most_moves: int = MOST_MOVES,
) -> Walk:
    """Follow the best actions from voxel to voxel until a voxel is reached for the second time.

    What an agent does depends on where it is alone, so from there on it goes round in a cycle; the
    landmark is at its centre.

    Args:
        policy: Gives the values of the actions at voxels.
        start_ijk: Where to start.
        last_ijk: Last voxel of the volume along each axis; the border stops the agent.
        most_moves: Moves without a cycle, at most.
    """
    steps = action_steps().to(start_ijk.device)
    path = start_ijk[:, None]
    end = start_ijk.float()
    walking = torch.ones(len(end), dtype=torch.bool, device=start_ijk.device)
    for move in range(most_moves):
        moved = path[:, -1] + steps[policy(path[:, -1]).argmax(dim=1)]
        moved = moved.clamp(min=0).minimum(last_ijk)
        moved = torch.where(walking[:, None], moved, path[:, -1])
        again = (path == moved[:, None]).all(dim=2)
        arrived = walking & (again.any(dim=1) | (move == most_moves - 1))
        for volume in arrived.nonzero()[:, 0].tolist():
            first = int(again[volume].long().argmax()) if again[volume].any() else move
            end[volume] = path[volume, first:].float().mean(dim=0)
        walking = walking & ~arrived
        path = torch.cat([path, moved[:, None]], dim=1)
        if not walking.any():
            break
    return Walk(path, end)


def spread_around(
    policy: Callable[[Int[Tensor, "N 3"]], Float[Tensor, "N A"]],
    end_ijk: Float[Tensor, "V 3"],
    last_ijk: Int[Tensor, " 3"],
) -> Float[Tensor, " V"]:
    """How far landmarks may be from the ends of walks, in voxels, as the voxels around them say.

    About a landmark, by how much an agent prefers to go forward along an axis falls with the
    position on it. How far that preference is from a line, over the slope of the line, is how far
    single voxels misplace the landmark; to its square is added where in a voxel it may lie.

    Args:
        policy: Gives the values of the actions at voxels, as many in each volume.
        end_ijk: Ends of walks, one in each volume.
        last_ijk: Last voxel of the volume along each axis.
    """
    around = torch.cartesian_prod(*[torch.tensor([-1, 0, 1], device=end_ijk.device)] * 3)
    places = (end_ijk.round().long()[:, None] + around).clamp(min=0).minimum(last_ijk)
    values = policy(places.flatten(0, 1)).unflatten(0, places.shape[:2]).unflatten(2, (3, 2))
    forward = (values[..., 0] - values[..., 1]) / 2
    away = places - places.float().mean(dim=1, keepdim=True)
    forward = forward - forward.mean(dim=1, keepdim=True)
    slope = (away * forward).sum(dim=1) / away.square().sum(dim=1).clamp(min=1)
    off = (forward - slope[:, None] * away).square().mean(dim=1)
    return (3 / 12 + (off / (-slope).clamp(min=LEAST_SLOPE).square()).sum(dim=1)).sqrt()

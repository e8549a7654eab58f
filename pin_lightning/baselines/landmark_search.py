"""The search for one landmark at one scale, as an environment of gymnasium.

An agent stands at a voxel, sees the box of voxels around it, and moves by one voxel along an axis.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from pin_lightning.baselines.boxes import ACTIONS, action_steps
from pin_lightning.common.types import Float, Tensor, UInt8

# A volume with a border of half a box on all sides, and the landmark in voxels without the border.
Scene: TypeAlias = tuple[UInt8[Tensor, "X Y Z"], Float[np.ndarray, " 3"]]


class LandmarkSearch(gymnasium.Env):
    """One landmark in volumes that are drawn anew for each episode.

    Observations are boxes of voxels around the present one [1, side, side, side], 0 to 255. Action
    ``2 a`` moves by one voxel to larger, ``2 a + 1`` to smaller positions along axis a; the border
    of the volume stops it. The reward is by how many voxels the move came closer to the landmark,
    -1 to 1. An episode does not end at the landmark, so that agents learn to stay there; it is cut
    off (``truncated``) after some moves.

    Args:
        draw: Draws the scene of an episode.
        side: Side of the box in voxels, odd.
        reach: Voxels along each axis, within which an episode starts at random.
        most_moves: Moves of an episode.
        centre: Around which voxel it starts; None takes the landmark.
    """

    def __init__(
        self,
        draw: Callable[[], Scene],
        side: int,
        reach: Sequence[float],
        most_moves: int,
        centre: Sequence[float] | None = None,
    ) -> None:
        self.draw = draw
        self.side = side
        self.reach = np.array(reach, dtype=np.float64)
        self.most_moves = most_moves
        self.steps = action_steps().numpy()
        self.centre = None if centre is None else np.array(centre, dtype=np.float64)
        self.observation_space = gymnasium.spaces.Box(0, 255, (1, side, side, side), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a volume and a place to start."""
        super().reset(seed=seed)
        volume, self.target = self.draw()
        self.volume = volume.numpy()
        self.last = np.array(self.volume.shape) - self.side  # border and side leave one voxel
        centre = self.target if self.centre is None else self.centre
        start = centre + self.np_random.uniform(-self.reach, self.reach)
        self.position = np.clip(np.rint(start), 0, self.last).astype(int)
        self.moves = 0
        return self._observation(), {}

    def step(
        self, action: int | np.integer
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move by one voxel."""
        moved = self.position + self.steps[int(action)]
        before = np.linalg.norm(self.position - self.target)
        self.position = np.clip(moved, 0, self.last)
        self.moves += 1
        reward = float(before - np.linalg.norm(self.position - self.target))
        return self._observation(), reward, False, self.moves >= self.most_moves, {}

    def _observation(self) -> np.ndarray:
        x, y, z = self.position.tolist()
        box = self.volume[x : x + self.side, y : y + self.side, z : z + self.side]
        return box[None].copy()  # as `cut_boxes`, without the time that tensors take

"""Q-networks of agents that search landmarks, and how they learn (DQN of stable-baselines3)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from pin_lightning.baselines.boxes import ACTIONS
from pin_lightning.common.types import Float, Num, Tensor

ENVIRONMENTS = 16  # that one network moves in at once, by one step for each update
BATCH = 64
BUFFER = 10_000  # transitions
FIRST_MOVES = 500  # before the first update
TARGET_INTERVAL = 500  # moves from one update of the target network to the next
EXPLORED_SHARE = 0.5  # of the moves, in which chance decides less and less
LAST_CHANCE = 0.2
FALLING_SHARE = 0.4  # of the moves, the last ones, in which the learning rate falls to 0
LEAST_SD = 5.0  # of 0 to 255, which is added to that of a box: empty ones stay so
LOG_INTERVAL = 50  # updates


class BoxFeatures(nn.Module):
    """Features of boxes: convolutions that halve the side each time, and a hidden layer.

    Boxes are standardised, and layers normalised over each box: few updates are left to each
    network, and without they go into learning brightness.

    Args:
        observation_space: Space of boxes [1, side, side, side].
        widths: Feature maps of the convolutions.
        hidden: Features.
    """

    def __init__(self, observation_space: Any, widths: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.features_dim = hidden  # as stable-baselines3 asks
        channels, side = [1, *widths], observation_space.shape[-1]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            convolution = nn.Conv3d(before, after, 3, stride=2, padding=1)
            layers += [convolution, nn.GroupNorm(1, after), nn.ReLU()]
            side = (side + 1) // 2
        flat = nn.Linear(widths[-1] * side**3, hidden)
        self.layers = nn.Sequential(*layers, nn.Flatten(), flat, nn.LayerNorm(hidden), nn.ReLU())

    def forward(self, boxes: Num[Tensor, "N 1 side side side"]) -> Float[Tensor, "N H"]:
        """Features of boxes, 0 to 255."""
        values = boxes.float()
        mean = values.mean(dim=(2, 3, 4), keepdim=True)
        sd = values.std(dim=(2, 3, 4), keepdim=True)
        features: Tensor = self.layers((values - mean) / (sd + LEAST_SD))
        return features


class QNetwork(nn.Module):
    """Value of each action: how much closer to the landmark it and all that follows will come.

    Args:
        observation_space: Space of boxes.
        settings: Of `BoxFeatures`.
    """

    def __init__(self, observation_space: Any, settings: dict[str, Any]) -> None:
        super().__init__()
        self.features = BoxFeatures(observation_space, **settings)
        self.head = nn.Linear(self.features.features_dim, ACTIONS)

    def forward(self, boxes: Num[Tensor, "N side side side"]) -> Float[Tensor, "N A"]:
        """Values of the actions at the voxels that boxes surround."""
        values: Tensor = self.head(self.features(boxes[:, None]))
        return values


def learn(
    network: QNetwork,
    environment: Callable[[], Any],
    settings: dict[str, Any],
    moves: int,
    seed: int,
    log: Callable[[int, float], None],
    learning_rate: float,
    discount: float,
) -> None:
    """Train a Q-network, in place.

    Args:
        network: The network; its weights are replaced.
        environment: Makes an environment of gymnasium.
        settings: Settings of the network's features.
        moves: Moves in all environments together.
        seed: Seed of weights and draws. The random states of Python, NumPy and PyTorch change.
        log: Called now and then with the moves so far and the mean reward of a move.
        learning_rate: Learning rate.
        discount: Weight of the reward of a move against that of the move before.
    """
    from stable_baselines3 import DQN
    from stable_baselines3.common.vec_env import DummyVecEnv

    rewards: list[float] = []

    def note(locals_: dict[str, Any], _: dict[str, Any]) -> bool:
        rewards.append(float(locals_["rewards"].mean()))
        if len(rewards) == LOG_INTERVAL:
            log(locals_["self"].num_timesteps, sum(rewards) / len(rewards))
            rewards.clear()
        return True

    dqn = DQN(
        "CnnPolicy",
        DummyVecEnv([environment] * ENVIRONMENTS),
        buffer_size=BUFFER,
        learning_starts=min(FIRST_MOVES, moves // 2),
        batch_size=BATCH,
        train_freq=1,
        target_update_interval=TARGET_INTERVAL,
        exploration_fraction=EXPLORED_SHARE,
        exploration_final_eps=LAST_CHANCE,
        policy_kwargs={
            "features_extractor_class": BoxFeatures,
            "features_extractor_kwargs": settings,
            "net_arch": [],
            "normalize_images": False,
        },
        seed=seed,
        device=next(network.parameters()).device,
        learning_rate=lambda left: learning_rate * min(1.0, left / FALLING_SHARE),
        gamma=discount,
    )
    dqn.learn(moves, callback=note)
    network.features.load_state_dict(dqn.q_net.features_extractor.state_dict())
    network.head.load_state_dict(dqn.q_net.q_net[0].state_dict())

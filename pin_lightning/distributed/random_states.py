"""Seeds and states of random generators, as checkpoints keep those of all processes."""

import logging

import numpy as np
import torch
import torch.distributed as dist

from pin_lightning.common.types import Num, Tensor

log = logging.getLogger(__name__)


def seed_of(seed: int, epoch: int, place: int) -> int:
    """A seed that no other pass and place has."""
    parts = [seed % 2**63, epoch, place % 2**32]
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def of_all_processes(state: Num[Tensor, " N"]) -> Num[Tensor, "W N"]:
    """The states of all processes, in their order; each of them has to ask at the same time.

    Args:
        state: That of this process.
    """
    if not dist.is_available() or not dist.is_initialized():
        return state[None]
    states: list[Tensor] = [state] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return torch.stack(states)


def of_this_process(states: Num[Tensor, "W N"]) -> Num[Tensor, " N"] | None:
    """The state of this process among those that `of_all_processes` gave.

    Returns:
        None where there are now more or fewer processes: what they draw cannot go on.
    """
    together = dist.is_available() and dist.is_initialized()
    rank, count = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    if len(states) == count:
        return states[rank].cpu().clone()  # torch crashes on a part of a larger tensor
    log.warning("saved by %d processes, now there are %d: other draws", len(states), count)
    return None


def global_states() -> dict[str, Tensor]:
    """States of torch's global generators, which dropout takes its numbers from."""
    states = {"cpu": of_all_processes(torch.get_rng_state())}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = of_all_processes(torch.cuda.get_rng_state())
    return states


def set_global_states(states: dict[str, Tensor]) -> None:
    """Take up where `global_states` left, on the devices that there are."""
    devices = {"cpu": torch.set_rng_state}
    if torch.cuda.is_available():
        devices["cuda"] = torch.cuda.set_rng_state
    for name, set_state in devices.items():
        if name in states and (own := of_this_process(states[name])) is not None:
            set_state(own)

"""Seeds and states of random generators; checkpoints keep those of all processes."""

import logging

import numpy as np
import torch
import torch.distributed as dist

from pin_lightning.common.types import Num, Tensor

log = logging.getLogger(__name__)


def seed_of(seed: int, epoch: int, place: int) -> int:
    """A seed of its own for each epoch and place."""
    parts = [seed % 2**63, epoch, place % 2**32]
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def of_all_processes(state: Num[Tensor, " N"]) -> Num[Tensor, "W N"]:
    """Gather the states of all processes by rank; each process must call this."""
    if not _is_group():
        return state[None]
    states: list[Tensor] = [state] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return torch.stack(states)


def _is_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def of_this_process(states: Num[Tensor, "W N"]) -> Num[Tensor, " N"] | None:
    """The state of this process among those of `of_all_processes`.

    None, with a warning, if the number of processes has changed: their draws cannot go on.
    """
    rank, count = (dist.get_rank(), dist.get_world_size()) if _is_group() else (0, 1)
    if len(states) == count:
        return states[rank].cpu().clone()  # torch crashes on a view of a larger tensor
    log.warning("saved by %d processes, now there are %d: other draws", len(states), count)
    return None


def global_states() -> dict[str, Tensor]:
    """States of torch's global generators, from which dropout draws."""
    states = {"cpu": of_all_processes(torch.get_rng_state())}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = of_all_processes(torch.cuda.get_rng_state())
    return states


def set_global_states(states: dict[str, Tensor]) -> None:
    """Restore the states of `global_states` on the present devices."""
    devices = {"cpu": torch.set_rng_state}
    if torch.cuda.is_available():
        devices["cuda"] = torch.cuda.set_rng_state
    for name, set_state in devices.items():
        if name in states and (own := of_this_process(states[name])) is not None:
            set_state(own)

"""The iteration of a localizer as a loop inside an exported graph."""

from typing import TypeAlias

import torch

from pin_lightning.common.types import Int, Tensor
from pin_lightning.method.localizer import Localizer, Points, VolumeIndex
from pin_lightning.method.pyramid import Pyramid

# Iterations done, points in shape space, iterations that each made, and whether it still moves.
State: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]


def iterate_in_graph(
    localizer: Localizer, pyramid: Pyramid, volume_index: VolumeIndex, parameters: Points
) -> tuple[Points, Int[Tensor, " N"]]:
    """Iterate as `Localizer`, in a form that `torch.export` can trace; a `Loop` for `set_loop`.

    A start that has arrived stays in the batch and no longer moves, since a graph has fixed sizes.
    While the prior holds no start arrives, so these iterations are a loop of their own.

    Returns:
        Final shape parameters, and the number of iterations of each start.
    """
    made = torch.zeros_like(volume_index)
    active = torch.ones_like(volume_index, dtype=torch.bool)
    state = (torch.zeros((), dtype=torch.int64), parameters, made, active)
    held, total = localizer.prior_iterations, localizer.update_rule.max_iterations
    if held > 0:
        state = _loop(localizer, pyramid, volume_index, state, min(held, total), True)
    if total > held:
        state = _loop(localizer, pyramid, volume_index, state, total, False)
    return state[1], state[2]


def _loop(
    localizer: Localizer,
    pyramid: Pyramid,
    volume_index: VolumeIndex,
    state: State,
    end: int,
    held: bool,
) -> State:
    """Iterate until ``end`` iterations are done or no start moves."""
    from torch._higher_order_ops import while_loop

    def goes_on(done: Tensor, at: Tensor, made: Tensor, active: Tensor) -> Tensor:
        return (done < end) & active.any()

    def iterate(done: Tensor, at: Tensor, made: Tensor, active: Tensor) -> State:
        moved = localizer.moved(pyramid, volume_index, at, held)
        going = active.clone()
        if localizer.tolerance_mm > 0 and not held:
            going = active & (localizer.distance_mm(at, moved) >= localizer.tolerance_mm)
        return done + 1, torch.where(active[:, None], moved, at), made + active.long(), going

    return while_loop(goes_on, iterate, state)

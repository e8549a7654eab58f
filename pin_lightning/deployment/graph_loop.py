"""The iteration of a localizer as a loop inside an exported graph."""

from typing import TypeAlias

import torch

from pin_lightning.common.types import Int, Tensor
from pin_lightning.deployment.graph_patches import blocked, cut_blocks
from pin_lightning.method.localizer import Localizer, Points, VolumeIndex
from pin_lightning.method.pyramid import Pyramid

# Iterations done, points in shape space, iterations that each made, and whether it still moves.
State: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]


def iterate_in_graph(
    localizer: Localizer, pyramid: Pyramid, volume_index: VolumeIndex, parameters: Points
) -> tuple[Points, Int[Tensor, " N"]]:
    """Iterate as `Localizer`, in a form that `torch.export` can trace; a `Loop` for `set_loop`.

    A start that has arrived stays in the batch and no longer moves, since a graph has fixed sizes.
    While the prior holds no start arrives.

    Returns:
        Final shape parameters, and the number of iterations of each start.
    """
    from torch._higher_order_ops import while_loop

    prior_iterations, total = localizer.prior_iterations, localizer.update_rule.max_iterations
    pyramid = blocked(pyramid, localizer.patch_side)

    def goes_on(done: Tensor, at: Tensor, made: Tensor, active: Tensor) -> Tensor:
        return (done < total) & active.any()

    def iterate(done: Tensor, at: Tensor, made: Tensor, active: Tensor) -> State:
        moved = at + localizer.step(pyramid, volume_index, at, cut_blocks)
        held = done < prior_iterations
        if prior_iterations > 0:
            moved = torch.where(held, localizer.project(moved), moved)
        going = active.clone()
        if localizer.tolerance_mm > 0:
            moves = localizer.distance_mm(at, moved) >= localizer.tolerance_mm
            going = active & (held | moves)
        return done + 1, torch.where(active[:, None], moved, at), made + active.long(), going

    made = torch.zeros_like(volume_index)
    active = torch.ones_like(volume_index, dtype=torch.bool)
    state = (torch.zeros((), dtype=torch.int64), parameters, made, active)
    state = while_loop(goes_on, iterate, state)
    return state[1], state[2]

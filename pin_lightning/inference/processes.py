"""The processes that predict many volumes together, each its part."""

from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from pin_lightning.common.settings import check_count
from pin_lightning.distributed.group import (
    FOR_EVER,
    check_environment,
    hush_lightning,
    is_one_of_several,
)
from pin_lightning.distributed.ranks import WHOLE, Shard

STRATEGIES = ("auto", "ddp")
Thing = TypeVar("Thing")


@runtime_checkable
class Processes(Protocol):
    """One process, or several."""

    @property
    def launcher(self) -> Any:
        """What starts the others; none where nothing does."""
        ...

    @property
    def shard(self) -> Shard:
        """The part of this process."""
        ...

    def start(self) -> None:
        """Start the others, where that has not been done, and meet them."""
        ...

    def of_first(self, thing: Thing) -> Thing:
        """What the first process gives, in all of them."""
        ...

    def wait(self) -> None:
        """Wait until all are here."""
        ...

    def device(self, setting: str) -> str:
        """What this process computes on."""
        ...


class Alone:
    """This process."""

    launcher = None
    shard = WHOLE

    def start(self) -> None:
        """Nothing."""

    def of_first(self, thing: Thing) -> Thing:
        """The thing itself."""
        return thing

    def wait(self) -> None:
        """Nothing."""

    def device(self, setting: str) -> str:
        """What was set."""
        return setting


class Together:
    """Several processes, which Lightning Fabric, torchrun or SLURM starts.

    What they tell one another goes through the processor, whatever they compute on, so that one
    that dies is noticed by the others at once.

    Args:
        devices: Processes on each machine.
        num_nodes: Machines.

    Raises:
        ValueError: Other numbers of processes were started.
    """

    def __init__(self, devices: int, num_nodes: int) -> None:
        # Only here: the import is slow.
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy

        hush_lightning()
        ddp = DDPStrategy(timeout=FOR_EVER)
        self.fabric = Fabric(accelerator="cpu", devices=devices, num_nodes=num_nodes, strategy=ddp)
        self.launcher = ddp.launcher
        check_environment(f"strategy=ddp devices={devices} num_nodes={num_nodes}", ddp, num_nodes)

    @property
    def shard(self) -> Shard:
        """The part of this process."""
        return Shard(self.fabric.global_rank, self.fabric.world_size)

    def start(self) -> None:
        """Start the others, where that has not been done, and meet them."""
        self.fabric.launch()

    def of_first(self, thing: Thing) -> Thing:
        """What the first process gives, in all of them."""
        return self.fabric.broadcast(thing)

    def wait(self) -> None:
        """Wait until all are here."""
        self.fabric.barrier()

    def device(self, setting: str) -> str:
        """Of several graphics cards, the one of this process."""
        if setting not in ("auto", "cuda") or not torch.cuda.is_available():
            return setting
        return f"cuda:{self.fabric.local_rank % torch.cuda.device_count()}"


def prediction_processes(strategy: str, devices: Any, num_nodes: Any) -> Processes:
    """Processes that are not started yet.

    Args:
        strategy: ``auto`` is this process alone, ``ddp`` are several.
        devices: Processes on each machine.
        num_nodes: Machines.

    Raises:
        ValueError: A setting is wrong, or not what was started.
    """
    check_count("devices", devices)
    check_count("num_nodes", num_nodes)
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy}: give {' or '.join(STRATEGIES)}")
    if strategy == "ddp":
        return Together(devices, num_nodes)
    if devices * num_nodes > 1 or is_one_of_several():
        raise ValueError(
            f"strategy={strategy} devices={devices} num_nodes={num_nodes}: is one process; "
            f"give strategy=ddp"
        )
    return Alone()

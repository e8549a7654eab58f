"""The processes that predict many volumes together, each its part."""

from typing import Any, TypeVar

import torch

from pin_lightning.common.settings import check_count
from pin_lightning.distributed import group
from pin_lightning.distributed.ranks import WHOLE, Shard

STRATEGIES = ("auto", "ddp")
Thing = TypeVar("Thing")


class Alone:
    """This process alone, with the interface of `Together`."""

    launcher = None
    shard = WHOLE

    def start(self) -> None:
        """Do nothing."""

    def of_first(self, thing: Thing) -> Thing:
        """Return the thing itself."""
        return thing

    def wait(self) -> None:
        """Do nothing."""

    def device(self, setting: str) -> str:
        """Return the device that was set."""
        return setting


class Together:
    """Several processes, started by Lightning Fabric, torchrun or SLURM.

    Messages go through the CPU, whatever the processes compute on, so that a process that dies is
    noticed by the others at once.

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

        group.hush_lightning()
        ddp = DDPStrategy(timeout=group.FOR_EVER)
        self.fabric = Fabric(accelerator="cpu", devices=devices, num_nodes=num_nodes, strategy=ddp)
        self.launcher = ddp.launcher
        said = f"strategy=ddp devices={devices} num_nodes={num_nodes}"
        group.check_environment(said, ddp, num_nodes)

    @property
    def shard(self) -> Shard:
        """The part of this process."""
        return Shard(self.fabric.global_rank, self.fabric.world_size)

    def start(self) -> None:
        """Start the other processes unless they run already, and connect to them."""
        self.fabric.launch()

    def of_first(self, thing: Thing) -> Thing:
        """Return in all processes what the first one passes."""
        return self.fabric.broadcast(thing)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.fabric.barrier()

    def device(self, setting: str) -> str:
        """Return the GPU of this process where there are several."""
        if setting not in ("auto", "cuda") or not torch.cuda.is_available():
            return setting
        return f"cuda:{self.fabric.local_rank % torch.cuda.device_count()}"


def prediction_processes(strategy: str, devices: Any, num_nodes: Any) -> Alone | Together:
    """Make the processes of strategy ``auto`` (this one alone) or ``ddp``, not started yet.

    Raises:
        ValueError: A setting is wrong, or not what was started.
    """
    check_count("devices", devices)
    check_count("num_nodes", num_nodes)
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy}: give {' or '.join(STRATEGIES)}")
    if strategy == "ddp":
        return Together(devices, num_nodes)
    if devices * num_nodes > 1 or group.is_one_of_several():
        raise ValueError(
            f"strategy={strategy} devices={devices} num_nodes={num_nodes}: is one process; "
            f"give strategy=ddp"
        )
    return Alone()

"""Process group: validation, ordering, log filtering, joint shutdown."""

import builtins
import logging
import os
import signal
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed
from torch.distributed import DistNetworkError, DistStoreError
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from pin_lightning.distributed.process import EXIT_CODE
from pin_lightning.distributed.ranks import Shard, is_first

FOR_EVER = timedelta(days=365)  # processes wait for one another as long as they live
SECONDS_TO_END = 10.0  # for a process whose connection is lost
# Marks of a lost process, for which gloo and NCCL have no exception type: gloo's RuntimeError names
# the source file of its transport, NCCL's error the code. Neither depends on their wording.
_LOST = ("gloo/transport", "ncclRemoteError")

# Lightning's warnings that do not apply: epochs play no role, and metrics are gathered over all
# processes before they are logged.
_REMARKS = (
    "LeafSpec",
    "smaller than the logging interval",
    "does not have many workers",
    "when logging on epoch level in distributed setting",
    "Checkpoint directory .* exists and is not empty",
    "Total length of `list` across ranks is zero",
)


def strategy_name(strategy: Any) -> str:
    """Name of a strategy, from its class if given by settings.

    >>> strategy_name({"_target_": "pytorch_lightning.strategies.FSDPStrategy"})
    'fsdp'
    """
    if isinstance(strategy, str):
        return strategy
    return str(strategy["_target_"]).rpartition(".")[2].removesuffix("Strategy").lower()


def is_one_of_several() -> bool:
    """Tell whether other processes were started with this one."""
    by_torchrun = distributed.is_available() and distributed.is_torchelastic_launched()
    return not is_first() or (by_torchrun and os.environ.get("WORLD_SIZE", "1") != "1")


def check_environment(said: str, strategy: Any, num_nodes: int) -> None:
    """Check the devices of a strategy and the nodes against the processes that were started.

    Raises:
        ValueError: The numbers differ, or this process knows of no other machine.
    """
    environment = strategy.cluster_environment
    try:
        environment.validate_settings(strategy.num_processes, num_nodes)
    except ValueError as error:
        raise ValueError(f"{said}: {' '.join(str(error).split())}") from error
    started_by_others = environment.creates_processes_externally
    if num_nodes > 1 and not started_by_others and "NODE_RANK" not in os.environ:
        raise ValueError(
            f"{said}: this process knows of no other node; start it by torchrun or srun, or on "
            "each node with NODE_RANK, MASTER_ADDR and MASTER_PORT set"
        )


def hush_lightning() -> None:
    """Silence Lightning's remarks and advertisements; call it after the import of Lightning."""
    for name in ("lightning_fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Kept: a process has died, so all are ended
    logging.getLogger("lightning_fabric.strategies.launchers").setLevel(logging.INFO)
    # PyTorch's line for each process that it then ends
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    for words in _REMARKS:
        warnings.filterwarnings("ignore", f".*{words}.*")


def speak_if_first(level: int) -> None:
    """Log all messages in the first process, in the others only those from `level` on."""
    if not is_first():
        logging.getLogger().setLevel(level)


@contextmanager
def first_before_others(shard: Shard) -> Iterator[None]:
    """Context that the first process runs before all others, which then find its results."""
    group = None
    if shard.count > 1 and distributed.is_initialized():
        group = distributed.new_group(backend="gloo", timeout=FOR_EVER)
    if group is not None and shard.rank > 0:
        distributed.barrier(group)
    yield
    if group is not None and shard.rank == 0:
        distributed.barrier(group)


def least_of_all(number: int, shard: Shard, device: torch.device) -> int:
    """Minimum of a number over all processes, each of which must call this with its device."""
    if shard.count == 1 or not distributed.is_initialized():
        return number
    least = torch.tensor(number, device=device)
    distributed.all_reduce(least, distributed.ReduceOp.MIN)
    return int(least)


@contextmanager
def ends_together(launcher: Any) -> Iterator[None]:
    """Context that ends all processes of a Lightning launcher, if any, when one fails.

    Raises:
        ValueError: Another process has failed.
        SystemExit: This process, or one that it has spawned, was asked to end.
    """
    try:
        yield
    except BaseException as error:
        lost = _is_lost(error)
        started = list(getattr(launcher, "procs", ()))
        # Whatever the error says, a process that has ended by now is its reason.
        seconds = SECONDS_TO_END if lost else 0.0
        failed = _failed(started, seconds) if isinstance(error, RuntimeError) else ()
        for process in started:
            process.kill()
        if isinstance(error, SystemExit) and not is_first():
            # Asked to end: after an exit code other than 0 the first would be killed while writing.
            raise SystemExit(0) from error
        if failed:
            raise ValueError(f"{' and '.join(failed)}: all processes are ended") from error
        if lost:
            raise ValueError("another process has ended, and so does this one") from error
        if isinstance(error, ProcessExitedException):
            raise _as_ended(error) from error
        if isinstance(error, ProcessRaisedException):
            raise _as_raised(error) from error
        raise


def _is_lost(error: BaseException) -> bool:
    """Tell whether an error of this process means that another one is gone."""
    if isinstance(error, DistNetworkError | DistStoreError):  # else an error of the set-up
        return distributed.is_initialized()
    return isinstance(error, RuntimeError) and _says_lost(str(error))


def _says_lost(said: str) -> bool:
    return any(mark in said.replace("\\", "/") for mark in _LOST)


def _failed(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> list[str]:
    """Processes that end with an error by themselves, within some seconds each."""
    found = []
    for rank, process in enumerate(processes, start=1):
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        if code != 0:
            found.append(f"rank {rank} ended with code {code}")
    return found


def _as_ended(error: ProcessExitedException) -> SystemExit | ValueError:
    """The error for a spawned process that ended without raising one."""
    if error.exit_code in (EXIT_CODE, -signal.SIGTERM):  # the second before it has a handler
        return SystemExit(EXIT_CODE)
    return ValueError(
        f"rank {error.error_index} ended with code {error.exit_code}: all processes are ended"
    )


def _as_raised(error: ProcessRaisedException) -> Exception:
    """The error of a spawned process, from its traceback; a defect stays unchanged."""
    name, _, said = str(error).strip().splitlines()[-1].partition(": ")
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, ValueError | OSError):
        return ValueError(f"rank {error.error_index}: {said}" if error.error_index else said)
    if _says_lost(str(error)):
        return ValueError(f"rank {error.error_index} has lost another process: all are ended")
    return error

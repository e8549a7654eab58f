"""ONNX Runtime beside PyTorch in float32: ``python benchmarks/onnx_speed.py`` (minutes).

Localizers of 45 landmarks with all 10 iterations, untrained, are exported and run alternately by
both, on as many threads. Processor time is disturbed least by other programs.
"""

import argparse
import time
from collections.abc import Callable

import torch
from landmark_number import localizer_of
from machine import describe
from rich.table import Table
from setups import setups

from pin_lightning.common.shown_table import print_table
from pin_lightning.deployment.graphs import LocalizerGraph, localizer_model, with_metadata
from pin_lightning.deployment.parity import session
from pin_lightning.deployment.volumes import synthetic_volumes
from pin_lightning.distributed.process import keep_freed_memory
from pin_lightning.method.localizer import Localizer

LANDMARKS = 45
CPU = torch.device("cpu")


def accurate() -> Localizer:
    """The localizer of `preset=accurate` and `fast`, with heads that move landmarks."""
    made = localizer_of(LANDMARKS, CPU)
    torch.nn.init.normal_(made.network.heads, std=0.05)
    return made


def multi() -> Localizer:
    """The localizer of `model=multi`."""
    return setups(CPU)[1].localizer().eval()


# With the largest ratio to aim at, if any.
LOCALIZERS = {"preset=accurate, 5 starts": (accurate, "1.3"), "model=multi, 6 starts": (multi, "")}


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of all processors."""
    clock, processors = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processors


@torch.no_grad()
def shortest(localizer: Localizer, repetitions: int) -> torch.Tensor:
    """Shortest seconds by PyTorch and by ONNX Runtime, on the clock and of processors."""
    localizer.set_dtype(torch.float32)
    graph, grid = LocalizerGraph(localizer).eval(), localizer.grid
    running = session(with_metadata(localizer_model(graph, grid.size, 18), {}))
    volume = synthetic_volumes(grid, 1, seed=0)
    calls = (lambda: graph(volume), lambda: running.run(None, {"volume": volume.numpy()}))
    for call in calls:
        call()
    times = [[seconds(call) for call in calls] for _ in range(repetitions)]
    return torch.tensor(times).amin(dim=0)


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repetitions", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    machine = describe(CPU)
    table = Table(title=f"{machine['processor']}, {machine['threads']} threads")
    for header in ("seconds per volume", "PyTorch, float32", "ONNX Runtime", "ratio", "at most"):
        table.add_column(header)
    for name, (make, at_most) in LOCALIZERS.items():
        best = shortest(make(), given.repetitions)
        for column, kind in enumerate(("clock", "processors")):
            by_torch, by_onnx = best[:, column].tolist()
            times = (f"{by_torch:.3f}", f"{by_onnx:.3f}", f"{by_onnx / by_torch:.2f}")
            table.add_row(f"{name}: {kind}", *times, at_most)
    print_table(table)


if __name__ == "__main__":
    main()

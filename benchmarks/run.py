"""Time every part of training and inference on this machine: ``make bench``.

Prints a table and writes ``bench.json`` and ``bench.md``. Each time is the median of several
repetitions, a multiple of what the machine's own ceilings (matrix product, copy) would allow, and a
ratio to a plain way of doing the same in the same run. On a graphics card it needs neither torchio
nor SimpleITK and leaves out what begins with files.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from machine import copied_bytes, describe, matrix_flops
from parts import Parts
from results import Fact, Row, show, write
from setups import BATCH, Setup, setups

from pin_lightning.common.precision import network_dtype
from pin_lightning.distributed.process import keep_freed_memory
from pin_lightning.training.samples.resident import ResidentLoader
from pin_lightning.training.samples.sampler import ShapePatchSampler

# Half and a quarter of what the authors' code needs, on a CPU; on a graphics card 100,000
# steps in 3 minutes.
PAPER_MINUTES = "<= 3 on an H100"
AT_MOST = {
    "cpu": {"step": 0.31, "network": 0.09, "localise": None, "many": None},
    "cuda": {"step": None, "network": None, "localise": 0.005, "many": 1 / 300},
}


def main() -> None:
    """Run everything that runs on the device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--without-files", action="store_true", help="as on a graphics card")
    parser.add_argument("--output", type=Path, default=Path("outputs/bench"))
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    keep_freed_memory()  # as the programs do
    device = torch.device(given.device)
    flops = {dtype: matrix_flops(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
    copied = copied_bytes(device)
    facts = [
        Fact("matrix product, float32", flops[torch.float32] / 1e9, "GFLOP/s"),
        Fact("matrix product, bfloat16", flops[torch.bfloat16] / 1e9, "GFLOP/s"),
        Fact("copy, read and written", copied / 1e9, "GB/s"),
    ]
    rows: list[Row] = []
    for setup in setups(device):
        parts = Parts(setup, flops[network_dtype(device)], copied, given.repetitions)
        for one in _measured(setup, parts, given.without_files or device.type != "cpu"):
            (rows if isinstance(one, Row) else facts).append(one)
            print(one.what, file=sys.stderr)
    machine = describe(device)
    write(given.output, machine, rows, facts)
    show(machine, rows, facts)


def _measured(setup: Setup, parts: Parts, without_files: bool) -> Iterator[Row | Fact]:
    at_most = AT_MOST[setup.device.type] if setup.name == "paper" else {}
    yield parts.cutting()
    yield parts.step(at_most.get("step"))
    yield parts.network(1, at_most.get("network"))
    yield parts.network(4)
    yield parts.localising(1, at_most.get("localise"))
    yield parts.localising(4 if setup.device.type == "cpu" else 32, at_most.get("many"))
    with tempfile.TemporaryDirectory() as folder:
        paths = setup.write_volumes(Path(folder))

        def resident(sampler: ShapePatchSampler) -> ResidentLoader:
            return ResidentLoader(paths, setup.shapes_mm, sampler, setup.device, BATCH, memory_gb=4)

        row, busy = parts.epoch(resident, "resident")
        yield row
        yield busy
        if setup.name == "paper":
            minutes = Fact("paper: 100,000 steps", row.seconds * 1e5 / 60, "minutes", PAPER_MINUTES)
            yield minutes
        if not without_files:
            yield from _from_files(setup, parts, paths, Path(folder))


def _from_files(
    setup: Setup, parts: Parts, paths: list[Path], folder: Path
) -> Iterator[Row | Fact]:
    import from_files  # only here: it needs torchio

    speeds = from_files.queue_settings(setup, paths)
    best = max(speeds, key=lambda name: speeds[name])
    yield parts.epoch(from_files.queue(setup, paths, best), f"queue ({best})")[0]
    for name, speed in speeds.items():
        yield Fact(f"{setup.name}: queue alone, {name}", speed, "samples/s")
    speed = from_files.resident_speed(setup, paths)
    yield Fact(f"{setup.name}: resident alone", speed, "samples/s")
    if setup.name != "paper":
        scans = from_files.write_scans(folder)
        yield from_files.preprocessing(setup, scans[0], parts.repetitions)
        yield from_files.whole_path(setup, scans, folder, at_most=0.5)


if __name__ == "__main__":
    main()

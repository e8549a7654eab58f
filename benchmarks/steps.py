"""Time the parts of training and inference on this machine: ``make bench``.

Cutting is compared with plain NumPy slicing, one sample at a time, in the same run. Every time is
the median of several repetitions.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pin_lightning.geometry import Grid
from pin_lightning.localizer import Localizer
from pin_lightning.losses import pin_loss
from pin_lightning.network import CompactNetwork, PaperNetwork, TwoHeadCNN, patches_to_input
from pin_lightning.patches import add_border, cut_patches
from pin_lightning.shape_models import PCAShapeModel
from pin_lightning.update_rules import RuleC

LANDMARKS, COMPONENTS, BATCH = 10, 15, 64  # as in the paper


def median_seconds(call: Callable[[], object], repetitions: int) -> float:
    """Median wall time of a call after one warm-up."""
    times = []
    for _ in range(repetitions + 1):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def slice_patches(volume: np.ndarray, centres: np.ndarray, side: int) -> np.ndarray:
    """The reference: NumPy slices of one volume, one landmark of one sample at a time."""
    half = side // 2
    padded = np.pad(volume, half + 1)
    patches = np.empty((len(centres), 3 * centres.shape[1], side, side), np.float32)
    for n, sample in enumerate(np.floor(centres + 0.5).astype(int) + half + 1):
        for index, (x, y, z) in enumerate(sample):
            along = [slice(c - half, c + half + 1) for c in (x, y, z)]
            patches[n, 3 * index] = padded[x, along[1], along[2]]
            patches[n, 3 * index + 1] = padded[along[0], y, along[2]]
            patches[n, 3 * index + 2] = padded[along[0], along[1], z]
    return patches / 255


def step(network: TwoHeadCNN, optimizer: torch.optim.Optimizer, patches: torch.Tensor) -> None:
    """One training step on given patches."""
    displacement, logits = network(patches_to_input(patches))
    direction = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    loss = pin_loss(displacement, logits, torch.zeros_like(displacement), direction, 0.5)
    optimizer.zero_grad()
    loss.total.backward()
    optimizer.step()


def rows(
    label: str,
    size: tuple[int, int, int],
    side: int,
    kind: type[PaperNetwork | CompactNetwork],
    repetitions: int,
    device: torch.device,
) -> list[tuple[str, str, str]]:
    """Table rows of one configuration."""
    generator = torch.Generator().manual_seed(0)
    grid = Grid(size, 162 / size[0])
    volume = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
    shapes = 20 * torch.randn(50, LANDMARKS, 3, generator=generator)
    model = PCAShapeModel(COMPONENTS).fit(shapes, grid.extent_mm)
    centres = grid.mm_to_ijk(model.decode(model.sample(BATCH, generator))).clamp(min=0)
    centres = torch.minimum(centres, torch.tensor(size) - 1.0)
    pin = Localizer(kind(3 * LANDMARKS, COMPONENTS, side), model, RuleC(), grid, side).to(device)
    optimizer = torch.optim.Adam(pin.network.parameters())
    index = torch.zeros(BATCH, dtype=torch.long, device=device)
    bordered, there = add_border(volume[None]).to(device), centres.to(device)
    patches = cut_patches(bordered, index, there, side)
    array, positions = volume.numpy(), centres.numpy()

    sliced = median_seconds(lambda: slice_patches(array, positions, side), repetitions)
    cut = median_seconds(lambda: cut_patches(bordered, index, there, side), repetitions)
    train = median_seconds(lambda: step(pin.network, optimizer, patches), repetitions)
    pin.eval()
    localise = median_seconds(lambda: pin(volume[None].to(device)), repetitions)
    what = f"{label}: cut {BATCH} samples of {side} x {side} x {3 * LANDMARKS}"
    return [
        (f"{what}, NumPy slices", f"{sliced:.3f}", ""),
        (what, f"{cut:.3f}", f"{cut / sliced:.2f}"),
        (f"{label}: training step without cutting", f"{train:.3f}", ""),
        (f"{label}: localise one volume, 6 starts, 10 iterations", f"{localise:.3f}", ""),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    where = f"{where or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    table = Table("what", "seconds", "times NumPy slices", title=where)
    configurations = (
        ("paper", (324, 207, 279), 101, PaperNetwork),
        ("compact", (162, 104, 140), 51, CompactNetwork),
    )
    for configuration in configurations:
        for row in rows(*configuration, repetitions, device):
            table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()

"""Time of `model=shared` against the number of landmarks: ``python benchmarks/landmark_number.py``.

Both the localisation of one working volume (5 starts, all 10 iterations) and forward and backward
pass of six samples, as multiples of the time with the fewest landmarks.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from hydra.utils import instantiate
from machine import describe, median_seconds
from pose.given import composed
from rich.table import Table

from pin_lightning.common.geometry import Grid
from pin_lightning.common.precision import network_dtype
from pin_lightning.common.shown_table import print_table
from pin_lightning.common.types import Float, Tensor
from pin_lightning.distributed.process import keep_freed_memory
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.patches import default_patch_side
from pin_lightning.runs.model import build_localizer
from pin_lightning.runs.model_record import ModelRecord

NUMBERS = (10, 20, 45, 90, 180)
GRID = Grid((158, 116, 106), 0.19)
REPETITIONS = 5


def shapes_of(landmarks: int, grid: Grid, number: int) -> Float[Tensor, "N L 3"]:
    """Landmarks all over the volume, in grid mm."""
    generator = torch.Generator().manual_seed(0)
    mean_mm = (torch.rand(1, landmarks, 3, generator=generator) - 0.5) * 0.8
    shapes_mm = mean_mm * torch.tensor(grid.extent_mm)
    return shapes_mm + torch.randn(number, landmarks, 3, generator=generator)


def localizer_of(
    landmarks: int, device: torch.device, grid: Grid = GRID, model: str = "shared"
) -> Localizer:
    """Untrained, of landmarks all over the volume."""
    shapes_mm = shapes_of(landmarks, grid, 12)
    settings = [f"model={model}", "data.root=none", "model.tolerance_voxels=0"]
    settings += ["model.landmark=one"] if model == "single" else []
    config = composed("train", settings, Path("none"))
    if config.model.patch_side is None:
        config.model.patch_side = default_patch_side(grid.size)
    shape_model = instantiate(config.shape).fit(shapes_mm, grid.extent_mm)
    prior = config.model.prior and instantiate(config.model.prior).fit(shapes_mm, grid.extent_mm)
    sizes = (landmarks, shape_model.num_parameters)
    record = ModelRecord.of_config(config)
    localizer = build_localizer(record, shape_model, grid, *sizes, prior).eval().to(device)
    localizer.set_dtype(network_dtype(device))
    return localizer


def step_of(
    localizer: Localizer, landmarks: int, samples: int, device: torch.device
) -> Callable[[], None]:
    """Forward and backward pass of so many samples, each with all landmarks."""
    side, spacings = localizer.patch_side, len(localizer.patch_spacings)
    patches = torch.rand(samples, landmarks * 3 * spacings, side, side, device=device)

    def step() -> None:
        with torch.autocast(device.type, localizer.network_dtype):
            displacement, logits = localizer.network(patches)
        (displacement.square().mean() + logits.square().mean()).backward()

    return step


def main() -> None:
    """Print one row for each number of landmarks."""
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    volume = torch.randint(0, 256, (1, *GRID.size), dtype=torch.uint8, device=device)
    table = Table(title=str(describe(device)["processor"]))
    for header in ("landmarks", "localising, s", "x", "x landmarks", "training step, s", "x"):
        table.add_column(header, justify="right")
    fewest: tuple[float, float] | None = None
    for number in NUMBERS:
        localizer = localizer_of(number, device)
        localising = median_seconds(lambda one=localizer: one(volume), REPETITIONS, device)
        training = median_seconds(step_of(localizer, number, 6, device), REPETITIONS, device)
        fewest = fewest or (localising, training)
        ratios = (localising / fewest[0], number / NUMBERS[0], training / fewest[1])
        shown = (f"{localising:.3f}", f"{ratios[0]:.1f}", f"{ratios[1]:.1f}")
        table.add_row(str(number), *shown, f"{training:.3f}", f"{ratios[2]:.1f}")
    print_table(table)


if __name__ == "__main__":
    main()

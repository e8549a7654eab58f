"""A method of a size, untrained: what it costs."""

import math
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import torch
from landmark_number import localizer_of, shapes_of, step_of
from machine import median_seconds
from pose.given import composed
from torch import nn

from pin_lightning.baselines.base import LearningSystem, OwnLoopSystem, TrainingCases
from pin_lightning.baselines.registry import SYSTEMS
from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Tensor, UInt8
from pin_lightning.distributed.process import keep_freed_memory
from pin_lightning.runs.model import build_system
from pin_lightning.runs.model_record import SystemRecord

BASE, SPACING_MM = (54, 35, 47), 3.0
CASES = 5
LONG_SECONDS = 5.0  # a call of this length is measured once
BATCH = 64  # samples of a step of `multi` and `single`
CPU = torch.device("cpu")
Volumes: TypeAlias = UInt8[Tensor, "V X Y Z"]
Localise: TypeAlias = Callable[[Volumes], object]
Step: TypeAlias = Callable[[], None]


@dataclass(frozen=True)
class Cell:
    """What is measured in a process.

    Attributes:
        method: Name of the method.
        landmarks: Number of landmarks.
        side: Times the sides of the smallest volume, of the same extent.
    """

    method: str
    landmarks: int
    side: int

    @property
    def grid(self) -> Grid:
        """Working grid."""
        x, y, z = (side * self.side for side in BASE)
        return Grid((x, y, z), SPACING_MM / self.side)


@dataclass(frozen=True)
class Cost:
    """What it took.

    Attributes:
        peak_gb: Peak resident memory of the process.
        localise_seconds: To find all landmarks in a volume.
        step_seconds: Of a training step; None where a method has none.
        ended: Why there are no times.
    """

    peak_gb: float
    localise_seconds: float | None = None
    step_seconds: float | None = None
    ended: str | None = None

    @property
    def times(self) -> tuple[float | None, float | None]:
        """Seconds to localise, and of a step."""
        return self.localise_seconds, self.step_seconds


def measure(cell: Cell, gigabytes: float) -> dict[str, float | None]:
    """Times of a cell, by their names in `Cost`, in at most so much memory."""
    keep_freed_memory()
    most = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    torch.manual_seed(0)
    volumes = _volumes(cell.grid)
    localise, step = (_of_system if cell.method in SYSTEMS else _of_pin)(cell, volumes)
    seconds = {"localise_seconds": _seconds(lambda: localise(volumes[:1]))}
    return {**seconds, "step_seconds": None if step is None else _seconds(step)}


def _of_pin(cell: Cell, volumes: Volumes) -> tuple[Localise, Step | None]:
    """PIN's; of `single`, those of all its networks, one after the other."""
    networks = cell.landmarks if cell.method == "single" else 1
    landmarks = cell.landmarks // networks
    localizer = localizer_of(landmarks, CPU, cell.grid, cell.method)
    samples = 6 if cell.method == "shared" else BATCH
    step = step_of(localizer, landmarks, samples, CPU)

    def localise(asked: Volumes) -> None:
        for _ in range(networks):
            localizer(asked)

    def all_steps() -> None:
        for _ in range(networks):
            step()

    return localise, all_steps


def _of_system(cell: Cell, volumes: Volumes) -> tuple[Localise, Step | None]:
    config = composed("train", ["data.root=none", f"model={cell.method}"], Path("none"))
    if "most_voxels" in config.system:
        config.system.most_voxels = math.prod(cell.grid.size)
    system = build_system(SystemRecord.of_config(config), cell.grid, cell.landmarks).eval()
    system.choose_dtype(CPU)
    shapes_mm = shapes_of(cell.landmarks, cell.grid, len(volumes))
    system.learn_shapes(shapes_mm)
    if isinstance(system, OwnLoopSystem):
        drawn = (volumes[:1].float(), shapes_mm[:1])
        system.fit(TrainingCases(list(volumes), shapes_mm, lambda _: drawn), 0, lambda *_: None)
        return system, None
    assert isinstance(system, LearningSystem)
    batch = config.loader.batch_size
    pictures, own = volumes[:batch].float(), shapes_mm[:batch]
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        system.zero_grad()
        with system.in_precision(CPU):
            losses = system.training_loss(pictures, own, generator)
        torch.stack(list(losses.values())).sum().backward()

    return system, step


def _volumes(grid: Grid) -> Volumes:
    """Smooth pictures, each another."""
    coarse = torch.rand(CASES, 1, *(max(2, side // 8) for side in BASE))
    smooth = nn.functional.interpolate(coarse, grid.size, mode="trilinear")[:, 0]
    return (255 * smooth).to(torch.uint8)


def _seconds(call: Callable[[], object]) -> float:
    """Median time of a call; of a long one that of the first."""
    began = perf_counter()
    call()
    first = perf_counter() - began
    return first if first > LONG_SECONDS else median_seconds(call, 3, CPU)

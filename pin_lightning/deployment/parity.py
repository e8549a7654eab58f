"""Parity check of an ONNX file with PyTorch on volumes, and timing."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from timeit import repeat
from typing import Any

import numpy as np
import torch
from torch import nn

from pin_lightning.common.settings import is_number
from pin_lightning.common.types import Bool, Float, Tensor, UInt8
from pin_lightning.deployment.graphs import LocalizerGraph, NetworkGraph, localizer_model
from pin_lightning.deployment.volumes import Volumes
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.pyramid import build_pyramid

SHAKE = 1e-6  # relative change of every weight: moves a start ten times as far as rounding of sums
SHAKEN_COPIES = 8
MOST_DIVERGED = 0.5  # largest share of starts that rounding may send elsewhere
FEW_ITERATIONS = 2
BATCH = 2
REPETITIONS = 5


@dataclass(frozen=True)
class Tolerance:
    """Largest tolerated differences.

    Attributes:
        network: Of the network's outputs, relative to the largest output, or to 1 if that is less.
        voxels: Of the final position of a start, in voxels of the working volume.

    Raises:
        ValueError: One is not a positive number.
    """

    network: float = 1e-4
    voxels: float = 0.02

    def __post_init__(self) -> None:
        for name, value in (("network", self.network), ("voxels", self.voxels)):
            if not is_number(value) or value <= 0:
                raise ValueError(f"tolerance.{name}={value}: give a positive number")

    @classmethod
    def of(cls, config: Any) -> "Tolerance":
        """Read the tolerances from the node ``tolerance`` of a config.

        Raises:
            ValueError: It is not a node of settings.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"tolerance={config}: give tolerance.network or tolerance.voxels")
        return cls(**config)


def session(model: bytes) -> Any:
    """An ONNX Runtime session on the CPU, with as many threads as PyTorch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def check_network(
    localizer: Localizer, model: bytes, volumes: Volumes, tolerance: Tolerance
) -> float:
    """Compare a network's file with PyTorch on the patches at all starts.

    Returns:
        The largest difference, relative to the largest output or to 1.

    Raises:
        ValueError: It is too large.
    """
    graph, running = NetworkGraph(localizer), session(model)
    starts, differences = localizer.starts(), []
    for volume in volumes:
        pyramid = build_pyramid(volume[None], localizer.grid, localizer.patch_spacings)
        index = torch.zeros(len(starts), dtype=torch.long)
        patches = localizer.patches(pyramid, index, starts)
        found = running.run(None, {"patches": patches.numpy()})
        for one, expected in zip(found, graph(patches), strict=True):
            largest = max(1.0, float(expected.abs().max()))
            differences.append(float((torch.from_numpy(one) - expected).abs().max()) / largest)
    worst = float(np.max(differences))  # NaN if one is
    if not worst <= tolerance.network:
        raise ValueError(
            f"{type(localizer.network).__name__}: ONNX Runtime and PyTorch differ by {worst:.2g} "
            f"of the largest output (tolerance.network={tolerance.network:g}); nothing is written"
        )
    return worst


@torch.no_grad()
def check_localizer(
    graph: nn.Module, model: bytes, volumes: Volumes, limit_mm: float
) -> tuple[float, Bool[Tensor, "V S"]]:
    """Compare a localizer's file with PyTorch, start by start.

    The two add in different orders. Such rounding can decide which voxel is nearest, which
    direction most probable or whether a start has arrived, and send it elsewhere. So a start may
    differ if it also does in PyTorch once every weight is changed by about a millionth. How many
    may is for the caller to say (`mostly`).

    Args:
        graph: The `LocalizerGraph`.
        model: Its file.
        volumes: Working volumes.
        limit_mm: Largest distance between the two final positions of a start.

    Returns:
        The largest distance between predictions of a landmark in mm, and the starts that ended
        elsewhere by rounding alone.

    Raises:
        ValueError: Starts, or their mean or spread, differ by more.
    """
    running, worst_mm, strayed = session(model), 0.0, []
    for batch in volumes.split(BATCH):
        expected = graph(batch)
        found = [torch.from_numpy(one) for one in running.run(None, {"volume": batch.numpy()})]
        apart_mm = (found[2] - expected[2]).norm(dim=-1).amax(dim=-1)
        diverged = ~(apart_mm <= limit_mm)
        if diverged.any():
            _refuse_unexplained(graph, batch, expected[2], diverged, limit_mm)
        # Means differ at most as much as the start that moved most, spreads at most thrice that.
        moved_mm = apart_mm.amax(dim=1).clamp(min=limit_mm)[:, None]
        means_mm = (found[0] - expected[0]).norm(dim=-1)
        spreads_mm = (found[1] - expected[1]).abs()
        if (means_mm > moved_mm).any() or (spreads_mm > 3 * moved_mm).any():
            raise _differs("their mean or spread", limit_mm)
        worst_mm = max(worst_mm, float(means_mm.max()))
        strayed.append(diverged)
    return worst_mm, torch.cat(strayed)


def mostly(diverged: Bool[Tensor, "V S"]) -> bool:
    """Tell whether so many starts went elsewhere that the rest says too little about a file."""
    return int(diverged.sum()) > MOST_DIVERGED * diverged.numel()


def check_few_iterations(
    localizer: Localizer | Ensemble, volumes: Volumes, limit_mm: float, opset: int
) -> None:
    """Compare the same export, but of `FEW_ITERATIONS`: too few for rounding to grow.

    Raises:
        ValueError: Starts differ that rounding does not explain, or most do.
    """
    graph = LocalizerGraph(localizer)
    with few_iterations(graph):
        model = localizer_model(graph, localizer.grid.size, opset).SerializeToString()
        diverged = check_localizer(graph, model, volumes, limit_mm)[1]
    if mostly(diverged):
        raise _differs(f"{int(diverged.sum())} of {diverged.numel()} starts", limit_mm)


@contextmanager
def few_iterations(graph: nn.Module) -> Iterator[None]:
    """Let all localizers within a module iterate `FEW_ITERATIONS` times."""
    localizers = [one for one in graph.modules() if isinstance(one, Localizer)]
    rules = [one.update_rule for one in localizers]
    for one in localizers:
        one.update_rule = copy.copy(one.update_rule)
        fewer = min(FEW_ITERATIONS, one.update_rule.max_iterations)
        object.__setattr__(one.update_rule, "max_iterations", fewer)  # rules are frozen
    try:
        yield
    finally:
        for one, rule in zip(localizers, rules, strict=True):
            one.update_rule = rule


def _differs(what: str, limit_mm: float) -> ValueError:
    return ValueError(
        f"localizer: ONNX Runtime and PyTorch differ in {what} by more than {limit_mm:.3g} mm "
        f"(tolerance.voxels); nothing is written"
    )


def _refuse_unexplained(
    graph: nn.Module,
    volumes: Volumes,
    ends_mm: Float[Tensor, "V S L 3"],
    diverged: Bool[Tensor, "V S"],
    limit_mm: float,
) -> None:
    """Raise for starts that ended elsewhere though no shaken copy does."""
    generator = torch.Generator().manual_seed(0)
    unexplained = diverged
    for _ in range(SHAKEN_COPIES):
        apart_mm = (shaken(graph, generator)(volumes)[2] - ends_mm).norm(dim=-1).amax(dim=-1)
        unexplained = unexplained & (apart_mm <= limit_mm)
        if not unexplained.any():
            return
    starts = f"{int(unexplained.sum())} of {unexplained.numel()} starts"
    raise _differs(f"{starts} (which rounding does not explain)", limit_mm)


@torch.no_grad()
def shaken(graph: nn.Module, generator: torch.Generator) -> nn.Module:
    """Copy a graph with every weight and buffer changed by about a millionth."""
    copied = copy.deepcopy(graph)
    for value in (*copied.parameters(), *copied.buffers()):
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            value.mul_(1 + SHAKE * noise)
    return copied


@torch.no_grad()
def seconds_per_volume(
    graph: nn.Module, model: bytes, volume: UInt8[Tensor, "X Y Z"]
) -> tuple[float, float]:
    """Time of one volume by PyTorch in float32 and by ONNX Runtime, with the same threads."""
    running, one = session(model), volume[None]
    return (
        # Other processes disturb the shortest time least.
        min(repeat(lambda: graph(one), number=1, repeat=REPETITIONS)),
        min(
            repeat(lambda: running.run(None, {"volume": one.numpy()}), number=1, repeat=REPETITIONS)
        ),
    )

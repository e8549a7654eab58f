"""Base classes of the systems beside PIN: what a system is, and how it is trained.

A system is a `LandmarkLocalizer`, so that runs, predictions, evaluation and reports know no
difference. One that learns by gradient steps is a `LearningSystem`; one with a training loop of its
own, or without any, is an `OwnLoopSystem`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, TypeAlias

import torch
from torch import nn

from pin_lightning.baselines.checks import check
from pin_lightning.baselines.whole_volume import factor_for
from pin_lightning.common.geometry import Grid
from pin_lightning.common.precision import network_dtype
from pin_lightning.common.types import Float, Num, Tensor, UInt8
from pin_lightning.method.pyramid import coarser, coarser_grid
from pin_lightning.method.trajectory import Trajectory

EXTRA = "baselines"  # of the installation: the packages that systems are built on
Batch: TypeAlias = tuple[Num[Tensor, "B X Y Z"], Float[Tensor, "B L 3"]]
Log: TypeAlias = Callable[[int, Mapping[str, float]], None]  # a step, and its values by name


@dataclass(frozen=True)
class Problem:
    """What a system is built for.

    Attributes:
        grid: Working grid of the volumes.
        num_landmarks: Landmarks L.
        seed: Seed of what the system draws in predictions.
        precision: ``trainer.precision`` of the training.
    """

    grid: Grid
    num_landmarks: int
    seed: int = 0
    precision: str = "auto"


class System(nn.Module, ABC):
    """A trained system that localises landmarks in working volumes; a `LandmarkLocalizer`.

    The constructor of a subclass takes the problem and settings that are plain values, as they are
    in `conf/model/NAME.yaml` under ``system``. What is learnt is in parameters and buffers. Buffers
    whose size the training data decide have names that end in ``_``; they are loaded as they were
    saved.

    Args:
        problem: What it is built for.
        most_voxels: Voxels of the volumes that it sees, at most: they decide the spacing of these;
            None for that of the working grid.

    Attributes:
        name: Name of the system: its option of ``model`` and its name in the registry.
        needs: Packages of the extra ``baselines`` that it imports, in its constructor or later.
        largest: Largest values of its settings in a run's record, where these are not 1e6.
        without: Settings of the command line, or whole groups, that do not apply to it, with the
            reason; beside those that apply to no system.
        mean_mm_: Mean training shape [L, 3], grid mm.

    Raises:
        ValueError: `most_voxels` is wrong, or a package that it needs is not installed.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    largest: ClassVar[Mapping[str, float]] = {}
    without: ClassVar[Mapping[str, str]] = {}
    mean_mm_: Tensor

    def __init__(self, problem: Problem, most_voxels: int | None = None) -> None:
        super().__init__()
        absent = [package for package in self.needs if find_spec(package) is None]
        if absent:
            raise ValueError(
                f"model={self.name}: needs {', '.join(absent)}, which is not installed; "
                f"pip install 'pin-lightning[{EXTRA}]'"
            )
        self.problem = problem
        self.factor = 1
        if most_voxels is not None:
            check("most_voxels", most_voxels, most_voxels >= 1000, "at least 1000")
            self.factor = factor_for(problem.grid, most_voxels)
        self.network_dtype = torch.float32
        self.register_buffer("mean_mm_", torch.zeros(problem.num_landmarks, 3))

    @property
    def grid(self) -> Grid:
        """Working grid of the volumes."""
        return self.problem.grid

    @property
    def input_factor(self) -> int:
        """Spacing, in voxels of the working grid, of the volumes that the system sees."""
        return self.factor

    @property
    def input_grid(self) -> Grid:
        """Grid of the volumes that the system sees; its centre is that of the working grid."""
        return coarser_grid(self.grid, self.input_factor)

    @property
    def mean_shape_mm(self) -> Float[Tensor, "L 3"]:
        """The guess that uses no image: the mean training shape."""
        return self.mean_mm_

    def learn_shapes(self, shapes_mm: Float[Tensor, "M L 3"]) -> None:
        """Learn from the training shapes before the training; here, their mean.

        Args:
            shapes_mm: Grid mm; missing landmarks are filled in.
        """
        self.mean_mm_ = shapes_mm.mean(dim=0)

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Set the precision of the networks."""
        self.network_dtype = dtype

    def choose_dtype(self, device: torch.device) -> None:
        """Set the precision of the networks to that of the training.

        Raises:
            ValueError: It is unknown.
        """
        self.network_dtype = network_dtype(device, self.problem.precision)

    def set_starts(self, number: int) -> None:
        """Refuse: there are no starts to choose the number of."""
        raise ValueError(f"num_starts={number}: model={self.name} has no starts; leave it out")

    def in_precision(self, device: torch.device) -> torch.autocast:
        """Context in which networks predict in the precision of the training."""
        lower = self.network_dtype != torch.float32
        return torch.autocast(device.type, self.network_dtype, enabled=lower)

    @torch.no_grad()
    def forward(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Localise the landmarks of working volumes on the grid, 0 to 255."""
        with torch.autocast(volumes.device.type, enabled=False):  # a trainer may have enabled it
            return self.locate(coarser(volumes, self.input_factor))

    @abstractmethod
    def locate(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Localise the landmarks of volumes on the input grid, 0 to 255, in grid mm.

        Networks run within `in_precision`; positions stay in float32.
        """

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take the sizes of learnt buffers from what is loaded."""
        for name, buffer in self.named_buffers(recurse=False):
            saved = state_dict.get(prefix + name)
            if saved is not None and name.endswith("_"):
                setattr(self, name, buffer.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


class LearningSystem(System):
    """A system that learns by gradient steps on whole volumes.

    The optimiser of the config gets all parameters that require a gradient.
    """

    @abstractmethod
    def training_loss(
        self,
        volumes: Num[Tensor, "B X Y Z"],
        landmarks_mm: Float[Tensor, "B L 3"],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch of augmented volumes.

        Args:
            volumes: On the input grid, 0 to 255.
            landmarks_mm: Their landmarks, grid mm; NaN where missing. They may lie outside.
            generator: Source of random draws, on the CPU; each process has its own.

        Returns:
            Scalars by name; their sum is minimised, each is logged as ``train/NAME``.
        """


@dataclass(frozen=True, eq=False)
class TrainingCases:
    """The training cases of an `OwnLoopSystem`.

    Attributes:
        volumes: Volumes on the input grid, 0 to 255, each read when it is asked for.
        landmarks_mm: Their landmarks, grid mm; NaN where missing.
        draw: Draws a number of cases at random, augmented as the config says.
    """

    volumes: Sequence[UInt8[Tensor, "X Y Z"]]
    landmarks_mm: Float[Tensor, "M L 3"]
    draw: Callable[[int], Batch]


class OwnLoopSystem(System):
    """A system with a training loop of its own, or one that only keeps its training cases.

    It is saved when `fit` returns; a training that was interrupted begins anew.
    """

    @abstractmethod
    def fit(self, cases: TrainingCases, steps: int, log: Log) -> None:
        """Learn from the training cases, in place.

        Args:
            cases: The cases.
            steps: ``trainer.max_steps``.
            log: To be called now and then with the number of finished steps and values to log.
        """

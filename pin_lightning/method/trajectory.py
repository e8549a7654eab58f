"""What a localizer finds, and what programs need of anything that localises landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor

Kind = TypeVar("Kind", bound="LandmarkLocalizer")


@dataclass(frozen=True)
class Trajectory:
    """Paths of all starts and the prediction they give.

    Attributes:
        landmarks_mm: Landmarks of each start before the first and after each iteration.
        iterations: Iterations each start made before it stopped.
        prediction_mm: Mean of the final landmarks over the starts, the paper's prediction.
        spread_mm: Root-mean-square distance of the starts' final landmarks from that mean; of a
            localizer without starts, what it says of how far it may be wrong.
        within_mm: Root-mean-square distance of the starts' final landmarks from the mean of their
            own localizer; 0 of one without starts.
    """

    landmarks_mm: Float[Tensor, "V T1 S L 3"]
    iterations: Int[Tensor, "V S"]
    prediction_mm: Float[Tensor, "V L 3"]
    spread_mm: Float[Tensor, "V L"]
    within_mm: Float[Tensor, "V L"]

    @property
    def apart_mm(self) -> Float[Tensor, " V"]:
        """How far starts end apart in each volume: the median of `within_mm` over landmarks."""
        return self.within_mm.median(dim=1).values

    @classmethod
    def of_one_step(
        cls,
        begin_mm: Float[Tensor, "L 3"],
        prediction_mm: Float[Tensor, "V L 3"],
        spread_mm: Float[Tensor, "V L"],
    ) -> "Trajectory":
        """A single step of one start, of a localizer that does not iterate.

        Args:
            begin_mm: Where it starts: the mean shape.
            prediction_mm: Where it ends.
            spread_mm: How far it may be wrong.
        """
        path = torch.stack([begin_mm.expand_as(prediction_mm), prediction_mm], dim=1)
        iterations = torch.ones_like(prediction_mm[:, :1, 0], dtype=torch.long)
        within_mm = torch.zeros_like(spread_mm)
        return cls(path[:, :, None], iterations, prediction_mm, spread_mm, within_mm)


@runtime_checkable
class LandmarkLocalizer(Protocol):
    """A module that localises landmarks in working volumes on its grid.

    `Localizer`, `Ensemble` and the systems of `pin_lightning.baselines` are such; what predicts,
    evaluates and reports needs no more of them.
    """

    @property
    def grid(self) -> Grid:
        """Working grid of the volumes."""
        ...

    @property
    def mean_shape_mm(self) -> Float[Tensor, "L 3"]:
        """The guess that uses no image, grid mm."""
        ...

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Set the precision of all networks; positions are in float32."""
        ...

    def choose_dtype(self, device: torch.device) -> None:
        """Set the precision of each network to that of its training."""
        ...

    def set_starts(self, number: int) -> None:
        """Set the number of starts that are averaged.

        Raises:
            ValueError: There cannot be so many, or there are no starts.
        """
        ...

    def __call__(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Localise the landmarks of working volumes on the grid, 0 to 255."""
        ...

    def to(self: Kind, device: torch.device) -> Kind:
        """Move to a device, in place, and return itself."""
        ...

    def eval(self: Kind) -> Kind:
        """Switch to prediction, in place, and return itself."""
        ...

    def state_dict(self) -> Any:
        """Return all weights, and what was learnt from the training shapes."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take over the contents of `state_dict`."""
        ...

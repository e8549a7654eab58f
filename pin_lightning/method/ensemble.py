"""Ensemble of trained localizers: their predictions are averaged."""

from collections.abc import Sequence

import torch
from torch import nn

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.trajectory import LandmarkLocalizer, Trajectory


class Ensemble(nn.Module):
    """Mean of several localizers of the same landmarks on the same grid.

    Args:
        localizers: Trained localizers, for example the folds of a cross-validation.

    Raises:
        ValueError: There is none, or their grids or numbers of landmarks differ.
    """

    def __init__(self, localizers: Sequence[LandmarkLocalizer]) -> None:
        super().__init__()
        kinds = {(one.grid, len(one.mean_shape_mm)) for one in localizers}
        if len(kinds) != 1:
            raise ValueError(
                f"ensemble: {len(localizers)} localizers with {len(kinds)} grids and numbers of "
                f"landmarks; give at least one, and all of the same"
            )
        self.localizers = nn.ModuleList(localizers)  # type: ignore[arg-type]

    @property
    def members(self) -> list[LandmarkLocalizer]:
        """The localizers."""
        return list(self.localizers)  # type: ignore[arg-type]

    @property
    def grid(self) -> Grid:
        """Working grid of the volumes."""
        return self.members[0].grid

    @property
    def mean_shape_mm(self) -> Float[Tensor, "L 3"]:
        """The guess that uses no image: the mean of the localizers' guesses."""
        return torch.stack([one.mean_shape_mm for one in self.members]).mean(dim=0)

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Set the precision of all networks."""
        for one in self.members:
            one.set_dtype(dtype)

    def choose_dtype(self, device: torch.device) -> None:
        """Set the precision of each network to that of its training."""
        for one in self.members:
            one.choose_dtype(device)

    def set_starts(self, number: int) -> None:
        """Set the number of starts that each localizer averages.

        Raises:
            ValueError: One cannot have so many.
        """
        for one in self.members:
            one.set_starts(number)

    def forward(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Localise the landmarks of one or more working volumes.

        Args:
            volumes: Working volumes on the grid, 0 to 255, on the device of the networks.

        Returns:
            The mean over the localizers, each a mean over its starts, and the paths of all starts.
            The squared spread is the mean of their squared spreads plus the mean squared distance
            of their predictions from the mean.
        """
        return merge([one(volumes) for one in self.members])


def merge(trajectories: Sequence[Trajectory]) -> Trajectory:
    """Merge the trajectories of several localizers, each with the same weight.

    Args:
        trajectories: Of the same volumes. A path that ends earlier stays at its last position.
    """
    paths = _same_length([one.landmarks_mm for one in trajectories])
    iterations: Int[Tensor, "V S"] = torch.cat([one.iterations for one in trajectories], dim=1)
    predictions = torch.stack([one.prediction_mm for one in trajectories])
    mean = predictions.mean(dim=0)
    spread, within = (
        torch.stack(each).square().mean(dim=0)
        for each in zip(*((one.spread_mm, one.within_mm) for one in trajectories), strict=True)
    )
    between = (predictions - mean).square().sum(-1).mean(dim=0)
    ends = (mean, (spread + between).sqrt(), within.sqrt())
    return Trajectory(torch.cat(paths, dim=2), iterations, *ends)


def _same_length(paths: Sequence[Float[Tensor, "V _ S L 3"]]) -> list[Tensor]:
    longest = max(path.shape[1] for path in paths)
    return [
        torch.cat([path, path[:, -1:].expand(-1, longest - path.shape[1], -1, -1, -1)], dim=1)
        for path in paths
    ]

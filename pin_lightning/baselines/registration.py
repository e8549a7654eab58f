"""Atlas registration: training volumes are laid on a new one, and carry their landmarks over.

What laboratories of morphometrics do without learning: affine registration, symmetric demons
(Vercauteren et al., "Diffeomorphic demons: efficient non-parametric image registration",
NeuroImage 2009), and the median over several atlases.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64

from pin_lightning.baselines.base import Log, OwnLoopSystem, Problem, TrainingCases
from pin_lightning.baselines.checks import check
from pin_lightning.common.types import Bool, Int, Num, Tensor
from pin_lightning.method.trajectory import Trajectory


class AtlasRegistration(OwnLoopSystem):
    """Training volumes that are registered to each new volume; the median of their landmarks.

    Args:
        problem: What it is built for.
        most_voxels: Voxels of a volume, at most: they decide the spacing.
        atlases: Training volumes that are kept, at most.

    Attributes:
        volumes_: The atlases [A, X, Y, Z], 0 to 255.
        landmarks_mm_: Their landmarks [A, L, 3], grid mm.
        known_: Which of these there are [A, L].

    Raises:
        ValueError: A setting is wrong.
    """

    name: ClassVar[str] = "registration"
    largest: ClassVar[Mapping[str, float]] = {"most_voxels": 2**28, "atlases": 1000}
    without: ClassVar[Mapping[str, str]] = {
        "augmentation": "model={name} takes its training volumes as they are",
        "trainer.max_steps": "model={name} takes no steps",
    }
    volumes_: Tensor
    landmarks_mm_: Tensor
    known_: Tensor

    def __init__(self, problem: Problem, most_voxels: int = 300_000, atlases: int = 5) -> None:
        super().__init__(problem, most_voxels)
        check("atlases", atlases, atlases >= 1, "at least 1")
        self.atlases = atlases
        landmarks = problem.num_landmarks
        self.register_buffer("volumes_", torch.zeros(0, *self.input_grid.size, dtype=torch.uint8))
        self.register_buffer("landmarks_mm_", torch.zeros(0, landmarks, 3))
        self.register_buffer("known_", torch.zeros(0, landmarks, dtype=torch.bool))

    def fit(self, cases: TrainingCases, steps: int, log: Log) -> None:
        """Keep the atlases."""
        known = torch.isfinite(cases.landmarks_mm).all(dim=-1)
        chosen = chosen_atlases(known, self.atlases)
        self.volumes_ = torch.stack([cases.volumes[one] for one in chosen.tolist()])
        self.landmarks_mm_ = torch.nan_to_num(cases.landmarks_mm[chosen])
        self.known_ = known[chosen]

    def locate(self, volumes: Num[Tensor, "V X Y Z"]) -> Trajectory:
        """Register the atlases to each volume.

        A landmark that only one of the atlases has, has a spread of a voxel; one that none has is
        where the mean shape has it, with a spread of half the volume.
        """
        points_mm = torch.where(self.known_[..., None], self.landmarks_mm_, torch.nan)
        found = [self._fused(volume.cpu(), points_mm.double().cpu().numpy()) for volume in volumes]
        fused, spread = (
            torch.from_numpy(np.stack(one)).to(self.mean_mm_) for one in zip(*found, strict=True)
        )
        absent = torch.isnan(fused)
        unsure = torch.where(absent[..., 0], max(self.grid.extent_mm) / 2, self.grid.spacing_mm)
        spread = torch.where(torch.isnan(spread), unsure, spread)
        position_mm = torch.where(absent, self.mean_mm_, fused)
        return Trajectory.of_one_step(self.mean_mm_, position_mm, spread)

    def _fused(
        self, volume: Num[Tensor, "X Y Z"], points_mm: Float64[np.ndarray, "A L 3"]
    ) -> tuple[Float64[np.ndarray, "L 3"], Float64[np.ndarray, " L"]]:
        """Positions and spread in one volume; NaN where unknown."""
        from pin_lightning.baselines import deformation  # SimpleITK takes a while to import

        scan, *atlases = (
            deformation.as_image(one, self.input_grid.spacing_mm)
            for one in (volume, *self.volumes_.cpu())
        )
        pairs = zip(atlases, points_mm, strict=True)
        return deformation.fuse(
            np.stack([deformation.carried_over(atlas, scan, own) for atlas, own in pairs])
        )


def chosen_atlases(known: Bool[Tensor, "M L"], most: int) -> Int[Tensor, " A"]:
    """Cases to keep: evenly spread over those with the most landmarks.

    Args:
        known: Landmarks that each case has.
        most: Number of cases, at most.

    >>> known = torch.ones(9, 1, dtype=torch.bool)
    >>> chosen_atlases(known, 3)
    tensor([0, 4, 8])
    """
    counts = known.sum(dim=1)
    most = min(most, int((counts > 0).sum()))
    enough = counts.sort(descending=True).values[most - 1]
    those = (counts >= enough).nonzero()[:, 0]
    return those[torch.linspace(0, len(those) - 1, most).round().long()]

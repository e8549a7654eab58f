"""Systems as small as can be, one of each kind, for what is the same for all."""

from typing import ClassVar

import torch
from torch import nn

from pin_lightning.baselines.base import LearningSystem, OwnLoopSystem
from pin_lightning.method.trajectory import Trajectory


class Offset(LearningSystem):
    """Learns where the landmarks are on average; sees volumes of a coarser spacing."""

    name: ClassVar[str] = "offset"
    largest: ClassVar[dict[str, float]] = {"factor": 8}

    def __init__(self, problem, factor: int = 2):
        super().__init__(problem)
        self.factor = factor
        self.offset_mm = nn.Parameter(torch.zeros(problem.num_landmarks, 3))

    @property
    def input_factor(self):
        return self.factor

    def training_loss(self, volumes, landmarks_mm, generator):
        assert volumes.shape[1:] == self.input_grid.size
        known = torch.isfinite(landmarks_mm)
        missed = self.mean_mm_ + self.offset_mm - torch.nan_to_num(landmarks_mm)
        noise = 0.1 * torch.randn(missed.shape, generator=generator).to(missed)
        return {"missed_loss": ((missed + noise).square() * known).mean()}

    def locate(self, volumes):
        assert volumes.shape[1:] == self.input_grid.size
        found = (self.mean_mm_ + self.offset_mm).expand(len(volumes), -1, -1)
        return Trajectory.of_one_step(self.mean_mm_, found, torch.ones_like(found[..., 0]))


class Nearest(OwnLoopSystem):
    """Keeps its training cases, and predicts the landmarks of the one that is most alike."""

    name: ClassVar[str] = "nearest"
    without: ClassVar[dict[str, str]] = {"augmentation": "model={name} draws nothing"}

    def __init__(self, problem):
        super().__init__(problem)
        self.register_buffer("volumes_", torch.zeros(0, *self.input_grid.size, dtype=torch.uint8))
        self.register_buffer("landmarks_mm_", torch.zeros(0, problem.num_landmarks, 3))

    @property
    def input_factor(self):
        return 3

    def fit(self, cases, steps, log):
        drawn, landmarks_mm = cases.draw(2)
        assert drawn.shape[1:] == self.input_grid.size
        assert landmarks_mm.shape == (2, self.problem.num_landmarks, 3)
        self.volumes_ = torch.stack(list(cases.volumes))
        missing = torch.isnan(cases.landmarks_mm)
        self.landmarks_mm_ = torch.where(missing, self.mean_mm_, cases.landmarks_mm)
        for step in range(1, steps + 1):
            log(step, {"loss": 1 / step})

    def locate(self, volumes):
        apart = torch.cdist(volumes.flatten(1).float(), self.volumes_.flatten(1).float())
        found = self.landmarks_mm_[apart.argmin(dim=1)]
        return Trajectory.of_one_step(self.mean_mm_, found, torch.ones_like(found[..., 0]))

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pin_lightning.baselines.base import Problem, System
from pin_lightning.common.geometry import Grid
from pin_lightning.method.trajectory import Trajectory
from pin_lightning.runs import agreement
from pin_lightning.runs.agreement import MOST_LOOKED_AT, disagreement, usual_apart_mm

CPU = torch.device("cpu")
GRID = Grid((4, 5, 6), 1.0)


class Scattered(System):
    """Its starts end as far apart as the grey value says, at the middle one of three landmarks."""

    name = "scattered"

    def __init__(self, unit_mm):
        super().__init__(Problem(GRID, 3))
        self.unit_mm, self.seen = unit_mm, []

    def locate(self, volumes):
        grey = float(volumes.max())
        self.seen.append(grey)
        apart = torch.tensor([[self.unit_mm * grey, 1e6, 0.0]])
        found = Trajectory.of_one_step(torch.zeros(3, 3), torch.zeros(1, 3, 3), apart)
        return replace(found, within_mm=apart)


@pytest.fixture
def volumes(monkeypatch):
    """Files of working volumes, whose grey values are their names."""

    def load(path):
        return SimpleNamespace(intensity=torch.full(GRID.size, int(path.stem), dtype=torch.uint8))

    monkeypatch.setattr(agreement, "load_volume", load)
    return [Path(f"{10 + index}.nii") for index in range(15)]


def test_the_median_over_volumes_of_the_median_over_landmarks(volumes):
    assert usual_apart_mm(Scattered(0.5), volumes[:3], CPU) == 5.5
    many = Scattered(1.0)
    usual_apart_mm(many, volumes, CPU)
    assert len(many.seen) == MOST_LOOKED_AT
    assert (many.seen[0], many.seen[-1]) == (10.0, 24.0)


def test_nothing_is_usual_of_a_single_start(volumes):
    single = Scattered(0.0)
    assert usual_apart_mm(single, volumes[:2], CPU) is None
    assert len(single.seen) == 1  # the others would say no more


def test_ten_times_the_usual_distance_and_more_than_a_fiftieth_of_a_voxel():
    assert disagreement(1.0, 0.1, 1.0) is None
    assert "1 mm apart, in training 0.1 mm" in disagreement(1.01, 0.1, 1.0)
    assert disagreement(0.02, 0.001, 1.0) is None
    assert disagreement(0.021, 0.001, 1.0) is not None
    assert disagreement(1e3, None, 1.0) is None

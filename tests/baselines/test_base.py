import importlib.util

import pytest
import torch
from toy_systems import Nearest, Offset

from pin_lightning.baselines import base
from pin_lightning.baselines.base import Problem, System
from pin_lightning.baselines.registry import SYSTEMS
from pin_lightning.common.geometry import Grid
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.pyramid import coarser
from pin_lightning.method.trajectory import LandmarkLocalizer, Trajectory

GRID = Grid((12, 9, 10), 2.0)
PROBLEM = Problem(GRID, 3)


def test_a_step_from_the_mean_shape_is_a_path_of_two():
    begin, end = torch.zeros(2, 3), torch.arange(12.0).view(2, 2, 3)
    one = Trajectory.of_one_step(begin, end, torch.ones(2, 2))
    assert one.landmarks_mm.shape == (2, 2, 1, 2, 3)
    torch.testing.assert_close(one.landmarks_mm[:, 0, 0], torch.zeros(2, 2, 3))
    torch.testing.assert_close(one.landmarks_mm[:, 1, 0], end)
    assert one.iterations.tolist() == [[1], [1]]


def test_a_system_is_a_localizer_like_any_other():
    system = Offset(PROBLEM)
    system.learn_shapes(torch.stack([torch.zeros(3, 3), torch.full((3, 3), 4.0)]))
    assert isinstance(system, LandmarkLocalizer)
    assert system.grid == GRID
    assert system.input_grid == Grid((6, 5, 5), 4.0)
    torch.testing.assert_close(system.mean_shape_mm, torch.full((3, 3), 2.0))
    volumes = torch.zeros(2, *GRID.size, dtype=torch.uint8)
    merged = Ensemble([system, system])(volumes)
    torch.testing.assert_close(merged.prediction_mm, torch.full((2, 3, 3), 2.0))


def test_there_is_no_number_of_starts_to_set():
    with pytest.raises(ValueError, match="num_starts=5: model=offset has no starts"):
        Offset(PROBLEM).set_starts(5)


def test_it_sees_volumes_on_its_own_grid():
    seen = []

    class Seeing(Offset):
        def locate(self, volumes):
            seen.append(volumes)
            return super().locate(volumes)

    volumes = torch.randint(0, 256, (1, *GRID.size), dtype=torch.uint8)
    Seeing(PROBLEM, factor=3)(volumes)
    torch.testing.assert_close(seen[0], coarser(volumes, 3))


def test_a_buffer_that_was_learnt_is_loaded_with_its_own_size():
    learnt, anew = Nearest(PROBLEM), Nearest(PROBLEM)
    learnt.volumes_ = torch.ones(5, *learnt.input_grid.size, dtype=torch.uint8)
    learnt.landmarks_mm_ = torch.rand(5, 3, 3)
    anew.load_state_dict(learnt.state_dict())
    torch.testing.assert_close(anew.landmarks_mm_, learnt.landmarks_mm_)
    assert anew.volumes_.dtype == torch.uint8


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_missing_package_is_named_with_the_extra(name, monkeypatch):
    find = importlib.util.find_spec
    needs = SYSTEMS[name].needs
    monkeypatch.setattr(base, "find_spec", lambda one: None if one in needs else find(one))
    if not needs:
        pytest.skip(f"model={name} needs no extra package")
    with pytest.raises(ValueError, match=rf"model={name}: needs {needs[0]}.*\[baselines\]"):
        SYSTEMS[name](PROBLEM)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_has_the_name_of_its_option(name):
    assert SYSTEMS[name].name == name
    assert issubclass(SYSTEMS[name], System)


@pytest.mark.parametrize(
    "name",  # packages of the extra take seconds to import
    [
        pytest.param(name, marks=[pytest.mark.slow] if SYSTEMS[name].needs else [])
        for name in SYSTEMS
    ],
)
def test_a_system_can_be_made_without_memory_to_see_what_a_checkpoint_must_hold(name):
    if any(importlib.util.find_spec(one) is None for one in SYSTEMS[name].needs):
        pytest.skip(f"model={name} needs {SYSTEMS[name].needs}")
    with torch.device("meta"):
        state = SYSTEMS[name](Problem(GRID, 3)).state_dict()
    assert all(one.is_meta for one in state.values())

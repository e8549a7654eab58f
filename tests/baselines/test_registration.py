import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pin_lightning.baselines import deformation
from pin_lightning.baselines.base import Problem, TrainingCases
from pin_lightning.baselines.registration import AtlasRegistration, chosen_atlases
from pin_lightning.common.alignment import Pose
from pin_lightning.common.geometry import Grid

GRID = Grid((36, 32, 28), 2.0)


def fitted(volumes, landmarks_mm, **settings):
    system = AtlasRegistration(Problem(GRID, landmarks_mm.shape[1]), **settings)
    system.learn_shapes(torch.nan_to_num(landmarks_mm))
    system.fit(TrainingCases(list(volumes), landmarks_mm, lambda count: None), 1, lambda *_: None)
    return system.eval()


def test_atlases_are_spread_over_the_cases_with_the_most_landmarks():
    known = torch.ones(7, 2, dtype=torch.bool)
    assert chosen_atlases(known, 3).tolist() == [0, 3, 6]
    assert chosen_atlases(known, 20).tolist() == list(range(7))
    known[::2, 1] = False  # 0, 2, 4 and 6 lack one
    assert chosen_atlases(known, 3).tolist() == [1, 3, 5]
    assert chosen_atlases(known, 2).tolist() == [1, 5]
    assert chosen_atlases(known, 5).tolist() == [0, 2, 3, 4, 6]
    assert chosen_atlases(known[:1], 1).tolist() == [0]


@pytest.fixture
def shifts(monkeypatch):
    """Registration that only tells how bright an atlas is, as a shift along x."""

    def carried_over(atlas, scan, points_mm):
        return points_mm + np.array([atlas[0, 0, 0], 0, 0])

    monkeypatch.setattr(deformation, "carried_over", carried_over)


def test_landmarks_are_the_median_over_the_atlases_that_have_them(shifts):
    nan = torch.nan
    landmarks_mm = torch.zeros(3, 4, 3)
    landmarks_mm[:2, 1] = nan  # only the last has it
    landmarks_mm[:, 2] = nan  # none has it
    landmarks_mm[0, 3] = nan
    volumes = [torch.full(GRID.size, value, dtype=torch.uint8) for value in (1, 2, 9)]
    system = fitted(volumes, landmarks_mm, atlases=3)
    system.mean_mm_ = torch.full((4, 3), 7.0)
    found = system(torch.zeros(2, *GRID.size, dtype=torch.uint8))
    expected = torch.tensor([[2.0, 0, 0], [9, 0, 0], [7, 7, 7], [5.5, 0, 0]]).expand(2, -1, -1)
    torch.testing.assert_close(found.prediction_mm, expected)
    spread = torch.tensor([((1 + 0 + 49) / 3) ** 0.5, 2.0, 36.0, 3.5]).expand(2, -1)
    torch.testing.assert_close(found.spread_mm, spread)


def test_what_was_kept_is_loaded_with_its_own_size(shifts):
    volumes = [torch.randint(0, 256, GRID.size, dtype=torch.uint8) for _ in range(4)]
    landmarks_mm = torch.rand(4, 2, 3)
    landmarks_mm[1] = torch.nan
    system = fitted(volumes, landmarks_mm, atlases=3)
    assert len(system.volumes_) == 3
    assert all(torch.isfinite(one).all() for one in system.state_dict().values())
    anew = AtlasRegistration(Problem(GRID, 2), atlases=3)
    anew.load_state_dict(system.state_dict())
    again = anew(volumes[0][None]).prediction_mm
    torch.testing.assert_close(again, system(volumes[0][None]).prediction_mm)


@pytest.mark.parametrize(("setting", "value"), [("most_voxels", 10), ("atlases", 0)])
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=rf"system\.{setting}={value}: give at least"):
        AtlasRegistration(Problem(GRID, 2), **{setting: value})


@pytest.mark.slow
def test_volumes_that_lie_otherwise_are_found_to_less_than_a_voxel():
    rng = np.random.default_rng(0)
    centres_mm = rng.uniform(-1, 1, (8, 3)) * [22, 18, 15]
    sizes_mm = rng.uniform(3, 6, 8)
    axes = [np.arange(side, dtype=float) for side in GRID.size]
    points = GRID.ijk_to_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))

    def case(turn, shift_mm, scale):
        """The balls where a pose places them; landmarks are their centres."""
        pose = Pose(Rotation.from_rotvec(turn).as_matrix(), np.array(shift_mm), scale)
        own = pose.inverse().place(points)
        volume = np.zeros(GRID.size)
        for centre, size in zip(centres_mm, sizes_mm, strict=True):
            volume += 100 * np.exp(-0.5 * (np.linalg.norm(own - centre, axis=-1) / size) ** 2)
        volume = torch.from_numpy(volume.clip(0, 255).astype(np.uint8))
        return volume, torch.from_numpy(pose.place(centres_mm)).float()

    turns = ([0.1, 0, 0], [-0.1, 0.1, 0], [0, 0, 0.12])
    shifts_mm = ([2.0, 0, -2], [-3.0, 2, 0], [0.0, -3, 3])
    cases = [case(*one) for one in zip(turns, shifts_mm, (1.0, 0.95, 1.05), strict=True)]
    volumes, landmarks_mm = zip(*cases, strict=True)
    system = fitted(volumes, torch.stack(landmarks_mm))
    volume, truth_mm = case([0.05, -0.08, 0.05], [3.0, 2, -1], 1.02)
    found = system(volume[None])
    assert (found.prediction_mm[0] - truth_mm).norm(dim=-1).max() < GRID.spacing_mm
    before = (system.mean_mm_ - truth_mm).norm(dim=-1).mean()
    assert (found.prediction_mm[0] - truth_mm).norm(dim=-1).mean() < before / 3
    assert (found.spread_mm > 0).all()

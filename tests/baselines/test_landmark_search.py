import math

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium", reason="pip install 'pin-lightning[baselines]'")

from gymnasium.utils.env_checker import check_env

from pin_lightning.baselines.boxes import bordered
from pin_lightning.baselines.landmark_search import LandmarkSearch


def search(target=(4.2, 3.0, 2.6), start=(2.0, 3.0, 2.0), reach=(0, 0, 0), most_moves=10):
    volume = torch.randint(0, 256, (1, 7, 6, 5), dtype=torch.uint8)
    scene = (bordered(volume, 3)[0], np.array(target))
    return LandmarkSearch(lambda: scene, 3, reach, most_moves, start), volume[0]


def test_gymnasium_finds_no_fault():
    made, _ = search(reach=(2, 2, 2))
    check_env(made, skip_render_check=True)


def test_an_episode_by_hand():
    made, volume = search()
    box, _ = made.reset(seed=0)
    assert made.position.tolist() == [2, 3, 2]
    np.testing.assert_array_equal(box[0], volume[1:4, 2:5, 1:4])
    box, reward, terminated, truncated, _ = made.step(0)  # larger x
    assert made.position.tolist() == [3, 3, 2]
    np.testing.assert_array_equal(box[0], volume[2:5, 2:5, 1:4])
    assert reward == pytest.approx(math.hypot(2.2, 0.6) - math.hypot(1.2, 0.6))
    assert (terminated, truncated) == (False, False)
    _, reward, *_ = made.step(3)  # smaller y
    assert reward == pytest.approx(math.hypot(1.2, 0.6) - math.sqrt(1.2**2 + 1 + 0.6**2))
    made.step(2)
    made.step(0)
    _, reward, terminated, *_ = made.step(4)
    assert reward == pytest.approx(math.hypot(0.2, 0.6) - math.hypot(0.2, 0.4))
    assert not terminated  # at the landmark, where agents must learn to stay


def test_it_is_cut_off_after_its_moves():
    made, _ = search(most_moves=3)
    made.reset(seed=0)
    assert [made.step(action)[3] for action in (1, 0, 1)] == [False, False, True]


def test_the_border_of_the_volume_stops_it():
    made, _ = search(start=(0, 5, 4))
    made.reset(seed=0)
    for action in (1, 2, 4):
        _, reward, *_ = made.step(action)
        assert reward == 0
        assert made.position.tolist() == [0, 5, 4]


def test_episodes_start_all_over_their_reach():
    made, _ = search(start=(3, 3, 2), reach=(2, 1, 0.4))
    starts = {tuple(made.reset(seed=seed)[0] is None or made.position) for seed in range(80)}
    assert {x for x, _, _ in starts} == {1, 2, 3, 4, 5}
    assert {y for _, y, _ in starts} == {2, 3, 4}
    assert {z for _, _, z in starts} == {2}


def test_without_a_centre_they_start_around_the_landmark():
    made, _ = search(start=None)
    made.reset(seed=0)
    assert made.position.tolist() == [4, 3, 3]

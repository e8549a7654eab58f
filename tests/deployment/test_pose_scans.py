import numpy as np
import torch
from small_finders import SPACINGS_MM, small_finder, small_scan

from pin_lightning.deployment.pose_scans import MOST_STARTS, STEPS, asked, made_scans, turned


def test_a_quarter_turn_by_hand():
    volume = np.zeros((5, 5, 5), dtype=np.uint8)
    volume[4, 2, 2] = 200  # on the x axis, 2 voxels from the centre
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    found = turned(volume, quarter)
    assert found.shape == (7, 7, 7)
    assert np.argwhere(found).tolist() == [[3, 5, 3]]  # on the y axis


def test_scans_have_both_spacings_and_hold_the_anatomy():
    volumes = torch.zeros(3, 40, 30, 20, dtype=torch.uint8)
    volumes[:, 10:30, 10:20, 5:15] = 100
    for levels in made_scans(volumes, 1.0, SPACINGS_MM):
        assert [one.shape for one in levels] == [(28, 21, 14), (12, 9, 6)]
        np.testing.assert_allclose(levels[0].double().sum() * 8, 100 * 20 * 10 * 10, rtol=0.1)


def test_poses_are_starts_and_where_the_search_comes_from_there():
    finder = small_finder()
    found = asked(finder, small_scan())
    count = len(found.poses.linear)
    assert count % (STEPS + 1) == 0
    assert count <= (STEPS + 1) * MOST_STARTS
    assert torch.isfinite(found.poses.shift_mm).all()

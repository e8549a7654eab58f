import numpy as np
import pytest
import torch

from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.path import PosePath
from pin_lightning.method.pose.rigid import Poses

SHAPE_MM = torch.tensor([[6.0, 0, 0], [-6, 1, 0], [0, 5, 2], [0, -5, 3], [1, 0, -6]])


def at(*x):
    """Poses without a rotation, shifted along x."""
    shift_mm = torch.zeros(len(x), 3)
    shift_mm[:, 0] = torch.tensor(x)
    return Poses(torch.eye(3).expand(len(x), 3, 3), shift_mm)


def recorded():
    """Four starts; the last two go on in the other order, and the last alone once more."""
    path = PosePath()
    path.add(at(0.0, 1, 2, 3))
    path.add(at(10.0, 11, 12, 13))
    path.keep(torch.tensor([3, 2]))
    path.add(at(23.0, 22))
    path.keep(torch.tensor([0]))
    path.add(at(33.0))
    return path


def test_starts_are_followed_until_they_are_left_behind():
    x = recorded().landmarks_mm(torch.zeros(1, 3), 9)[:, :, 0, 0].numpy()
    nan = np.nan
    expected = [[3, 0, 1, 2], [13, 10, 11, 12], [23, nan, nan, 22], [33, nan, nan, nan]]
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize(("most", "starts"), [(1, [3]), (2, [3, 0]), (3, [3, 0, 2])])
def test_of_many_starts_some_are_shown(most, starts):
    x = recorded().landmarks_mm(torch.zeros(1, 3), most)[0, :, 0, 0]
    assert x.tolist() == starts


def test_branches_come_from_where_they_branched_off():
    path = PosePath()
    path.add(at(0.0, 1, 2))
    path.add(at(10.0, 11, 12))
    path.keep(torch.tensor([2, 0]))  # starts 2 and 0
    path.branch(at(12.0, 10, 50, 60), 1)  # two of start 2
    path.add(at(22.0, 20, 51, 61))
    path.keep(torch.tensor([3, 1, 0]))  # a branch is the best, start 0, start 2
    path.add(at(71.0, 30, 32))
    x = path.landmarks_mm(torch.zeros(1, 3), 9)[:, :, 0, 0].numpy()
    nan = np.nan
    # By columns: the branch, starts 0 and 2, and start 1.
    expected = [[2, 0, 2, 1], [12, 10, 12, 11], [61, 20, 22, nan], [71, 30, 32, nan]]
    np.testing.assert_array_equal(x, expected)


def test_a_search_is_the_same_with_its_path():
    torch.manual_seed(0)
    finder = PoseFinder(SHAPE_MM, (1.0, 2.0), patch_side=5).eval()
    generator = torch.Generator().manual_seed(0)
    sizes = [(24, 20, 22), (12, 10, 11)]
    levels = [torch.randint(0, 255, size, generator=generator).to(torch.uint8) for size in sizes]
    path = PosePath()
    found, again = finder(levels), finder(levels, path)
    assert [one.score for one in found] == [one.score for one in again]
    np.testing.assert_array_equal(found[0].pose.matrix, again[0].pose.matrix)
    placed_mm = path.landmarks_mm(finder.shape_mm, 5)
    assert placed_mm.shape[1] == 5
    # The first start is the one that was found.
    expected = found[0].pose.place(finder.shape_mm.double().numpy())
    np.testing.assert_allclose(placed_mm[-1, 0], expected, atol=1e-4)
    rotations = placed_mm[0, :, 0] - placed_mm[0, :, 1]
    np.testing.assert_allclose(rotations.norm(dim=-1), rotations[0].norm(), rtol=1e-5)

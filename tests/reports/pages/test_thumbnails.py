import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages.thumbnails import MiddleSlices, thumbnails

GRID = Grid((4, 6, 8), 2.0)
LANDMARKS = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])


def pictures(radius_mm=None, flagged=(False, False)):
    volume = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(GRID.size)
    slices = MiddleSlices.of(volume, LANDMARKS)
    made = thumbnails(slices, GRID, ("a", "b"), radius_mm, np.array(flagged))
    return volume, list(made)


def pixels(thumbnail):
    content = base64.b64decode(thumbnail.uri.removeprefix("data:image/png;base64,"))
    return (255 * imread(io.BytesIO(content))[..., 0]).round().astype(int)


def test_slices_pass_through_the_middle_of_the_landmarks_with_up_on_top():
    volume, (xz, yz, xy) = pictures()
    assert [one.title for one in (xz, yz, xy)] == ["x-z", "y-z", "x-y"]
    assert (xz.width, xz.height) == (4, 8)
    np.testing.assert_array_equal(pixels(xz), volume[:, 3].T[::-1])
    np.testing.assert_array_equal(pixels(yz), volume[2].T[::-1])
    np.testing.assert_array_equal(pixels(xy), volume[:, :, 4].T[::-1])


def test_a_mark_is_at_the_centre_of_its_pixel():
    _, (xz, _, _) = pictures()
    mark = xz.marks[0]
    assert (mark.name, mark.x, mark.y) == ("a", 1.5, 4.5)  # z = 3 of 0 to 7: row 4 from the top
    assert mark.radius is None


def test_radii_are_to_scale_and_flagged_landmarks_on_top():
    _, (xz, _, _) = pictures(np.array([3.0, 1.0]), (True, False))
    assert [mark.name for mark in xz.marks] == ["b", "a"]
    assert [mark.radius for mark in xz.marks] == [0.5, 1.5]
    assert [mark.flagged for mark in xz.marks] == [False, True]


@pytest.mark.parametrize("off", [100.0, np.nan])
def test_landmarks_outside_or_nowhere_still_give_a_slice(off):
    slices = MiddleSlices.of(np.zeros(GRID.size, np.uint8), LANDMARKS + off)
    made = list(thumbnails(slices, GRID, ("a", "b"), None, np.zeros(2, bool)))
    assert len(made) == 3
    assert all(len(one.marks) == (0 if np.isnan(off) else 2) for one in made)


def test_slices_come_back_from_their_file(tmp_path):
    volume = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(GRID.size)
    slices = MiddleSlices.of(volume, LANDMARKS)
    slices.save(tmp_path / "a ß.npz")
    again = MiddleSlices.load(tmp_path / "a ß.npz")
    np.testing.assert_array_equal(again.landmarks_ijk, slices.landmarks_ijk)
    for one, other in zip(again.pictures, slices.pictures, strict=True):
        np.testing.assert_array_equal(one, other)

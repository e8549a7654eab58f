import base64
import io

import numpy as np
from matplotlib.image import imread

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages.thumbnails import thumbnails

GRID = Grid((4, 6, 8), 2.0)
LANDMARKS = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])


def pictures(radius_mm=None, flagged=(False, False)):
    volume = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(GRID.size)
    made = thumbnails(volume, GRID, LANDMARKS, ("a", "b"), radius_mm, np.array(flagged))
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


def test_landmarks_outside_still_give_a_slice():
    made = thumbnails(
        np.zeros(GRID.size, np.uint8), GRID, LANDMARKS + 100, ("a", "b"), None, np.zeros(2, bool)
    )
    assert len(list(made)) == 3

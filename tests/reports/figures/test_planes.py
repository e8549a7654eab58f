from dataclasses import replace

import numpy as np
import pytest
from evaluation.planes.test_slices import image_of
from matplotlib import pyplot
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from nibabel.affines import apply_affine

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.evaluation.planes.axes import LineFit
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.reports.figures.planes import LARGEST, SMALLEST, plane_figure, plane_view
from pin_lightning.reports.figures.plots import PREDICTED, TRUE

NAMES = ("a", "b", "c", "$d")
GROUP = PlaneGroup("$P", NAMES, LineFit(("a", "b")))
IMAGE = image_of()
TRUTH_IJK = np.array([[2.0, 3, 4], [9, 3, 4], [9, 11, 4], [2, 11, 4]])


def view_of(truth_ijk, predicted_ijk):
    both = (apply_affine(IMAGE.affine, points) for points in (truth_ijk, predicted_ijk))
    return plane_view(IMAGE, *(LandmarkSet.of(NAMES, points) for points in both), GROUP)


@pytest.fixture(scope="module")
def view():
    """Predicted half a voxel of 1 mm above the true plane, and the last a whole one."""
    moved = np.array([[0, 0, 0.5], [0, 0, 0.5], [1, 0, 0.5], [0, 0, 1]])
    return view_of(TRUTH_IJK, TRUTH_IJK + moved)


def points_of(axes):
    return [one for one in axes.collections if isinstance(one, PathCollection)]


def test_true_landmarks_are_red_and_predicted_ones_green_where_they_project_to(view):
    figure = plane_figure([view, view], "a case of $1")
    assert len(figure.axes) == 4
    true, predicted = points_of(figure.axes[0])
    assert tuple(true.get_facecolor()[0]) == to_rgba(TRUE)
    assert tuple(predicted.get_facecolor()[0]) == to_rgba(PREDICTED)
    np.testing.assert_allclose(true.get_offsets(), view.truth_mm[:, :2])
    np.testing.assert_allclose(predicted.get_offsets(), view.predicted_mm[:, :2])
    moved = predicted.get_offsets() - true.get_offsets()
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), [0, 0, 0.8, 0], atol=1e-9)
    assert points_of(figure.axes[1]) == []
    assert pyplot.get_fignums() == []


def test_points_shrink_with_their_distance_from_the_plane(view):
    true, predicted = points_of(plane_figure([view], "title").axes[0])
    np.testing.assert_allclose(true.get_sizes(), LARGEST)
    middle = (LARGEST + SMALLEST) / 2
    np.testing.assert_allclose(predicted.get_sizes(), [middle, middle, middle, SMALLEST])


def test_titles_tell_the_error_and_the_legend_the_size(view):
    figure = plane_figure([view], "title")
    left, right = (axes.get_title() for axes in figure.axes)
    assert left == "$P, true plane"
    assert right.startswith("$P, predicted plane: ")
    assert right.endswith(("°, 0.62 mm", "°, 0.63 mm"))  # three by 0.5 mm, one by 1 mm
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"in the true plane", "0.5 mm from it", "1 mm from it"} <= set(texts)


def test_slices_are_drawn_where_they_are(view):
    for axes, one in zip(plane_figure([view], "title").axes, view.slices, strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), one.picture)
        left, right, bottom, top = image.get_extent()
        side = np.linalg.norm(one.affine[:3, 0])
        assert (right - left, top - bottom) == pytest.approx(np.array(one.pixels.shape) * side)
        assert left < 0 < right
        assert bottom < 0 < top


def test_a_missing_landmark_and_a_missing_slice_leave_gaps(view):
    truth_ijk = TRUTH_IJK.copy()
    truth_ijk[1] = np.nan
    assert view_of(truth_ijk, TRUTH_IJK) is None  # the x axis needs b
    truth_ijk[[1, 3]] = TRUTH_IJK[1], [np.nan] * 3
    shown = replace(view_of(truth_ijk, TRUTH_IJK), slices=(view.slices[0], None))
    figure = plane_figure([shown], "title")
    assert len(points_of(figure.axes[0])[0].get_offsets().compressed()) == 6
    assert not figure.axes[1].images


@pytest.mark.parametrize(("millimetres", "shown"), [(0.031, "0.04"), (0.5, "0.5"), (12.5, "20")])
def test_the_smallest_point_is_for_a_round_distance(view, millimetres, shown):
    predicted_mm = view.truth_mm + np.array([0, 0, millimetres])
    figure = plane_figure([replace(view, predicted_mm=predicted_mm)], "title")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-1] == f"{shown} mm from it"

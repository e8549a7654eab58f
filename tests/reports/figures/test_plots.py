from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation
from matplotlib import pyplot
from matplotlib.collections import PathCollection
from matplotlib.image import imread

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.figures import labels as plot_labels
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.plots import read_curves

SIZE = (20, 30, 25)
SPACING_MM = 2.0
UNKNOWN = np.full((45, 3), np.nan)


def names_of(count):
    return tuple(f"mark ${index}" for index in range(count))  # one $ would break mathematics


def volume():
    """Every voxel of the plane x = 12 is 200, of y = 7 is 100; the others are 0."""
    intensity = np.zeros(SIZE, dtype=np.uint8)
    intensity[:, 7] = 100
    intensity[12] = 200
    return intensity


def evaluation(num_landmarks, num_cases=12):
    return replace(random_evaluation(0, num_cases, num_landmarks), names=names_of(num_landmarks))


def scatters(axes):
    return [artist for artist in axes.collections if isinstance(artist, PathCollection)]


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_save_makes_a_white_png_of_150_dpi(tmp_path):
    path = tmp_path / "figures" / "a.png"
    figure = plots.error_figure(evaluation(3))
    plots.save(figure, path)
    assert pyplot.get_fignums() == []
    image = imread(path)
    width, height = figure.get_size_inches() * 150
    assert image.shape[:2] == (int(height), int(width))
    assert (image[0, 0, :3] == 1).all()


def test_error_figure_is_sorted_by_median_and_shows_the_mean_shape():
    shown = evaluation(12)
    axes = plots.error_figure(shown).axes[0]
    errors = shown.errors_mm
    order = np.argsort(np.nanmedian(errors, axis=0))
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [shown.names[index] for index in order]
    markers = next(line for line in axes.lines if line.get_label() == "mean shape (mean)")
    expected = np.nanmean(shown.mean_shape_errors_mm, axis=0)[order]
    np.testing.assert_allclose(markers.get_xdata(), expected)
    boxes = np.array([[box.get_x(), box.get_x() + box.get_width()] for box in axes.patches])
    np.testing.assert_allclose(boxes, np.nanpercentile(errors, [25, 75], axis=0).T[order])
    low, high = axes.get_ylim()
    assert low > high  # the smallest median is on top


def test_error_figure_leaves_out_what_is_never_defined():
    shown = evaluation(3)
    shown.defined[:, 1] = False
    labels = plots.error_figure(shown).axes[0].get_yticklabels()
    assert sorted(label.get_text() for label in labels) == ["mark $0", "mark $2"]
    shown.defined[:] = False
    with pytest.raises(ValueError, match="no landmark is defined"):
        plots.error_figure(shown)


@pytest.mark.parametrize("count", [10, 45, 60])
def test_error_rows_do_not_overlap(count):
    figure = plots.error_figure(evaluation(count))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    bottoms, tops = [box.y0 for box in boxes[:-1]], [box.y1 for box in boxes[1:]]
    assert all(bottom >= top for bottom, top in zip(bottoms, tops, strict=True))


def test_case_figure_by_hand():
    # The centre (12, 7, 9) of the truth is at (5, -15, -6) mm: (12 - 19 / 2) * 2 and so on.
    truth = np.array([[10.0, 7.0, 4.0], [14.0, 7.0, 14.0], [np.nan] * 3])
    predicted = np.array([[11.0, 9.0, 6.0], [14.0, 7.0, 14.0], [3.0, 20.0, 20.0]])
    figure = plots.case_figure(volume(), SPACING_MM, truth, predicted, names_of(3), "a $title")
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["slice at y = -15 mm", "slice at x = 5 mm", "slice at z = -6 mm"]
    coronal, sagittal, axial = (axes.images[0] for axes in figure.axes[:3])
    assert coronal.get_array().shape == (25, 20)
    assert set(np.unique(coronal.get_array())) == {100, 200}
    assert set(np.unique(sagittal.get_array())) == {200}
    assert axial.get_array()[:, 12].tolist() == [200] * 30
    assert tuple(axial.get_extent()) == (-20.0, 20.0, -30.0, 30.0)
    true, crosses = scatters(figure.axes[2])
    np.testing.assert_allclose(true.get_offsets(), [[1.0, -15.0], [9.0, -15.0]])
    np.testing.assert_allclose(crosses.get_offsets(), [[3, -11], [9, -15], [-13, 11]])
    assert figure.get_suptitle() == "a $title"
    assert legend_texts(figure) == ["true", "predicted"]
    key = [" ".join(line.split()) for line in figure.axes[3].texts[0].get_text().splitlines()]
    assert key == ["1 mark $0 6.00", "2 mark $1 0.00", "3 mark $2"]


def test_markers_shrink_with_the_distance_from_the_slice_and_are_seen_outside_the_volume():
    predicted = np.array([[10.0, 15.0, 12.0], [40.0, 15.0, 17.0], [10.0, 15.0, 7.0 - 12.0]])
    figure = plots.case_figure(volume(), SPACING_MM, UNKNOWN[:3], predicted, names_of(3), "")
    sizes = scatters(figure.axes[2])[1].get_sizes()  # the slice is at the mean z, 8
    assert sizes[0] > sizes[1] > sizes[2] > 0
    assert figure.axes[2].get_xlim()[1] > (40 - 9.5) * SPACING_MM
    assert legend_texts(figure) == ["predicted"]
    assert figure.axes[3].get_title(loc="left") == "Landmark"


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 10, 45, 100])
def test_numbers_and_key_do_not_overlap(count):
    rng = np.random.default_rng(count)
    truth = rng.uniform(2, 17, (count, 3))
    predicted = truth + rng.normal(0, 1, truth.shape)
    figure = plots.case_figure(volume(), SPACING_MM, truth, predicted, names_of(count), "t")
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes[:3] for text in axes.texts]
    assert len(texts) >= min(count, 10)
    for text in texts:
        inside = text.axes.bbox.padded(1)
        assert all(inside.contains(x, y) for x, y in text.get_window_extent().corners())
    boxes = [text.get_window_extent() for text in [*texts, *figure.axes[3].texts]]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
    lines = "\n".join(text.get_text() for text in figure.axes[3].texts).splitlines()
    assert len(lines) == min(count, plot_labels.MAX_LISTED)


def test_training_figure_reads_a_logger_file_with_gaps(tmp_path):
    rows = ["epoch,step,train/loss,train/direction_loss,val/radial_error_mm"]
    rows += [f"0,{step},{5 / step},{2 / step}," for step in range(1, 20)]
    rows += ["0,10,,,4.5", "0,19,,,3.25", "0,25,,,6.0"]
    path = tmp_path / "metrics.csv"
    path.write_text("\n".join(rows) + "\n")
    figure = plots.training_figure(path)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["Training loss", "Validation error (mm)"]
    loss, error = figure.axes
    assert loss.get_yscale() == "log"
    np.testing.assert_allclose(loss.lines[0].get_ydata(), 5 / np.arange(1, 20))
    assert error.lines[0].get_xydata().tolist() == [[10, 4.5], [19, 3.25], [25, 6.0]]
    texts = [text.get_text() for text in error.get_legend().get_texts()]
    assert texts == ["radial error", "lowest: 3.25 mm at step 19"]


def test_training_figure_shows_the_reward_of_an_agent(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,train/reward_voxels\n800,-0.1\n1600,0.2\n2400,0.3\n")
    (axes,) = plots.training_figure(path).axes
    assert (axes.get_ylabel(), axes.get_yscale()) == ("Reward of a move (voxels)", "linear")
    assert axes.lines[0].get_xydata().tolist() == [[800, -0.1], [1600, 0.2], [2400, 0.3]]


def test_curves_skip_gaps_unknown_columns_and_what_is_not_finite(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,loss,error,step\n0,2.5,,9\n0,,7.0,9\n1,nan,,19\n1,1.5,,29\n1,1,,\n")
    curves = read_curves(path, ["loss", "error", "absent"])
    found = {name: curve.tolist() for name, curve in curves.items()}
    assert found == {"loss": [[9.0, 2.5], [29.0, 1.5]], "error": [[9.0, 7.0]]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "metrics.csv: has no training curve"),
        ("loss\n1.0\n", "metrics.csv: has no training curve"),
        ("step,loss\n1,\n", "metrics.csv: has no training curve"),
        ("step,loss\n1,high\n", "metrics.csv: line 2: loss is 'high'"),
    ],
)
def test_bad_curves_are_refused(tmp_path, text, message):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_curves(path, ["loss"])


@pytest.mark.parametrize(("count", "half"), [(1, 0), (5, 0), (5, 2), (2, 3)])
def test_running_mean_agrees_with_slices(count, half):
    values = np.random.default_rng(0).normal(size=count)
    expected = [values[max(0, i - half) : i + half + 1].mean() for i in range(count)]
    np.testing.assert_allclose(plots.running_mean(values, half), expected)


def test_projections_show_the_brightest_voxels():
    voxels = np.zeros((4, 5, 6), np.uint8)
    voxels[0, 0, 0] = 255  # in none of the slices through the middle
    points = np.zeros((1, 3))
    for projected in (False, True):
        _, panels, _ = plots.slice_panels(
            voxels, Grid(voxels.shape, 1.0), points, points, "", projected=projected
        )
        images = [axes.images[0].get_array() for axes in panels[:3]]
        assert [int(image.max()) for image in images] == [255 * projected] * 3
        assert ("projection along" in panels[0].get_title()) is projected

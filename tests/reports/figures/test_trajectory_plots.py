import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from reports.figures.test_plots import SIZE, SPACING_MM, UNKNOWN, legend_texts, names_of, volume

from pin_lightning.evaluation.convergence import Convergence, join_convergence
from pin_lightning.reports.figures import trajectory_plots


def straight_paths(count, steps=4, starts=3):
    """Starts that halve their distance to `end` with every iteration."""
    rng = np.random.default_rng(0)
    end = rng.uniform(5, 15, (count, 3))
    begin = end + rng.normal(0, 4, (starts, count, 3))
    fractions = 0.5 ** np.arange(steps + 1)
    return end, end + fractions[:, None, None, None] * (begin - end)


def figure_of(paths, truth):
    names = names_of(paths.shape[2])
    return trajectory_plots.trajectory_figure(volume(), SPACING_MM, paths, truth, names, "t")


def drawn(axes):
    *starts, mean = axes.lines
    return np.array([line.get_ydata() for line in starts]).T, mean.get_ydata()


def test_trajectory_figure_draws_each_path_and_its_error():
    end, paths = straight_paths(2)
    truth = end.copy()
    truth[1] = np.nan
    figure = figure_of(paths, truth)
    lines, links = (a for a in figure.axes[0].collections if isinstance(a, LineCollection))
    segments = np.array(lines.get_segments())
    assert segments.shape == (6, 5, 2)  # start by landmark, iteration, plane x z
    middle = (np.array(SIZE) - 1) / 2
    second_start_first_landmark = (paths[:, 1, 0] - middle) * SPACING_MM
    np.testing.assert_allclose(segments[2], second_start_first_landmark[:, [0, 2]])
    assert len(links.get_segments()) == 1
    expected = np.linalg.norm((paths - end)[:, :, 0], axis=-1) * SPACING_MM
    of_mean = np.linalg.norm((paths.mean(axis=1) - end)[:, 0], axis=-1) * SPACING_MM
    starts, mean = drawn(figure.axes[3])
    np.testing.assert_allclose(starts, expected)
    np.testing.assert_allclose(mean, of_mean)
    assert figure.axes[3].get_ylabel() == "Radial error (mm)"
    colours = [to_rgba(line.get_color()) for line in figure.axes[3].lines[:-1]]
    np.testing.assert_allclose(lines.get_colors()[::2], colours)


def test_movement_is_below_the_error_and_what_rests_is_not_drawn():
    end, paths = straight_paths(2)
    paths[3:, 1] = paths[2, 1]  # the second start stops after two iterations
    figure = figure_of(paths, end)
    starts, mean = drawn(figure.axes[4])
    moved = np.linalg.norm(np.diff(paths, axis=0), axis=-1).mean(axis=-1) * SPACING_MM
    np.testing.assert_allclose(starts[1:, [0, 2]], moved[:, [0, 2]])
    np.testing.assert_allclose(starts[:, 1], [np.nan, *moved[:2, 1], np.nan, np.nan])
    np.testing.assert_allclose(mean[1:], moved.mean(axis=1))
    above, below = (figure.axes[index].get_position() for index in (3, 4))
    assert below.y1 < above.y0
    assert (above.x0, above.x1) == (below.x0, below.x1)
    assert figure.axes[4].get_yscale() == "log"
    low, high = figure.axes[4].get_ylim()
    assert low <= moved[moved > 0].min() < 10 * low
    assert high / 10 <= moved.max() < high


def test_trajectory_without_truth_shows_the_distance_to_the_prediction():
    _, paths = straight_paths(2)
    figure = figure_of(paths, UNKNOWN[:2])
    expected = np.linalg.norm(paths - paths[-1].mean(axis=0), axis=-1).mean(-1) * SPACING_MM
    starts, mean = drawn(figure.axes[3])
    np.testing.assert_allclose(starts, expected)
    assert mean[-1] == pytest.approx(0, abs=1e-12)
    assert figure.axes[3].get_ylabel() == "To prediction (mm)"
    assert legend_texts(figure) == ["predicted"]


def test_trajectory_of_many_landmarks_draws_ten_with_first_and_last():
    _, paths = straight_paths(45)
    figure = figure_of(paths, UNKNOWN)
    key = figure.legends[0].get_title().get_text().replace("\n", " ").split(", ")
    assert len(key) == trajectory_plots.MAX_PATHS
    assert (key[0], key[-1]) == ("1\u00a0mark\u00a0$0", "45\u00a0mark\u00a0$44")
    assert len(figure.axes[0].collections[0].get_segments()) == 10 * 3


def test_each_start_has_its_own_colour():
    for count in (1, 6, 19):
        assert len(np.unique(trajectory_plots.start_colours(count), axis=0)) == count


def cases_of(count, truth=True):
    ends = [straight_paths(3, starts=2 + index) for index in range(count)]
    cases = [Convergence.of(path, end if truth else UNKNOWN[:3]) for end, path in ends]
    return join_convergence(cases)


def test_convergence_figure_draws_medians_on_quartiles():
    cases = cases_of(5)
    figure = trajectory_plots.convergence_figure(cases, np.array([1.0, 2, 9, 2, np.nan]))
    above, below = figure.axes
    guess, error = above.lines
    assert guess.get_ydata()[0] == 2.0
    np.testing.assert_allclose(error.get_ydata(), np.median(cases.error_mm, axis=0))
    corners = above.collections[0].get_paths()[0].vertices[:, 1]
    low, high = np.percentile(cases.error_mm[:, 0], [25, 75])
    assert {low, high} <= set(corners)
    movement, spread = below.lines
    assert movement.get_xdata().tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(spread.get_ydata(), np.median(cases.spread_mm, axis=0))


def test_convergence_figure_without_truth_shows_movement_alone():
    figure = trajectory_plots.convergence_figure(cases_of(2, truth=False), np.array([]))
    (error,) = figure.axes[0].lines
    assert len(error.get_ydata()) == 0
    assert len(figure.axes[1].lines[0].get_ydata()) == 4

"""Figures of the convergence of the starts: paths on slices, error and movement by iteration."""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Float64
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pin_lightning.common.geometry import Grid
from pin_lightning.evaluation.convergence import Convergence, movements_mm, start_errors_mm
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.labels import PLANES, Points, marks_of, write_marks

MAX_PATHS = 10  # landmarks with distinguishable paths


def start_colours(count: int, best: int | None = None) -> Float64[np.ndarray, "S 4"]:
    """Colour (RGBA) of each start, visible on black and on white; the best has that of predictions.

    Args:
        count: Number of starts S.
        best: Start that is the prediction, None for the mean of all.
    """
    colours = matplotlib.colormaps["cool"](np.linspace(0.1, 1, count))
    if best is not None:
        colours[best] = to_rgba(plots.PREDICTED)
    return colours


def predicted_path(
    path_mm: Float[np.ndarray, "T1 S L 3"], best: int | None
) -> Float[np.ndarray, "T1 L 3"]:
    """The prediction by iteration: the best start, or the mean of all if there is none."""
    return path_mm.mean(axis=1) if best is None else path_mm[:, best]


def trajectory_figure(
    volume: plots.Volume,
    spacing_mm: float,
    trajectory_ijk: Float[np.ndarray, "T1 S L 3"],
    truth_ijk: Points,
    names: Sequence[str],
    title: str,
) -> Figure:
    """Draw paths of the starts on three slices, their errors and their movement by iteration.

    At most `MAX_PATHS` evenly spaced landmarks are drawn; the curves are over all.

    Args:
        volume: Working volume.
        spacing_mm: Voxel side in mm.
        trajectory_ijk: Landmarks of each start before the first and after each iteration.
        truth_ijk: True positions, NaN where undefined. Without any, distances are to the
            prediction, the mean of the final positions.
        names: Landmark names.
        title: Shown above.
    """
    grid = Grid(volume.shape, spacing_mm)
    truth, path = grid.ijk_to_mm(truth_ijk), grid.ijk_to_mm(trajectory_ijk)
    predicted = path[-1].mean(axis=0)
    shown = np.unique(np.linspace(0, len(names) - 1, MAX_PATHS).round().astype(int))
    figure, panels, _ = plots.slice_panels(volume, grid, truth, predicted, title)
    for axes, plane in zip(panels, PLANES, strict=False):
        _paths(axes, path[:, :, shown][..., plane])
        sizes = np.full(len(shown), 26)
        plots.draw_landmarks(axes, truth[shown][:, plane], predicted[shown][:, plane], sizes)
    _curves(figure, panels[3], path, truth)
    marks = marks_of(names)
    named = (marks[i] if marks[i] == names[i] else f"{marks[i]} {names[i][:24]}" for i in shown)
    key = ", ".join(name.replace(" ", "\u00a0") for name in named)
    plots.add_legend(figure, panels[0], textwrap.fill(key, 110))
    write_marks(panels, marks, shown, truth, predicted)
    return figure


def _paths(axes: Axes, path: Float[np.ndarray, "T1 S L 2"]) -> None:
    """A line for each start and landmark, with a dot where it begins."""
    colours = np.repeat(start_colours(path.shape[1]), path.shape[2], axis=0)
    lines = path.transpose(1, 2, 0, 3).reshape(-1, len(path), 2)
    axes.add_collection(LineCollection(list(lines), colors=colours, linewidths=0.8))
    axes.scatter(lines[:, 0, 0], lines[:, 0, 1], 5, colours)


def _curves(
    figure: Figure, place: Axes, path_mm: Float[np.ndarray, "T1 S L 3"], truth_mm: Points
) -> None:
    """Draw error and movement of each start by iteration, one above the other, in a panel."""
    spot = place.get_subplotspec()
    assert spot is not None
    place.remove()
    grid = spot.subgridspec(2, 1, height_ratios=(3, 2))
    above = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=above)
    draw_errors(above, path_mm, truth_mm)
    above.tick_params(labelbottom=False)
    moved = movements_mm(path_mm)
    _start_curves(below, _above_zero(moved), _above_zero(moved.mean(axis=1)))
    below.set_xlabel("Iteration")
    below.set_ylabel("Movement (mm)", fontsize=8)
    _in_decades(below, moved[moved > 0])
    figure.align_ylabels([above, below])


def draw_errors(
    axes: Axes,
    path_mm: Float[np.ndarray, "T1 S L 3"],
    truth_mm: Float[np.ndarray, "L 3"],
    best: int | None = None,
) -> None:
    """Draw the mean radial error of each start, and of the prediction, by iteration.

    The prediction is the best start, or without one the mean of the starts. Without any true
    position (NaN), distances are to the prediction.
    """
    predicted_mm = predicted_path(path_mm, best)
    annotated = bool(np.isfinite(truth_mm).any())
    target_mm = truth_mm if annotated else predicted_mm[-1]
    mean = start_errors_mm(predicted_mm[:, None], target_mm)[:, 0]
    _start_curves(axes, start_errors_mm(path_mm, target_mm), mean, best)
    black = "their mean" if best is None else "the one found"
    axes.set_title(f"starts in colour, {black} in black", fontsize=8)
    axes.set_ylabel("Radial error (mm)" if annotated else "To prediction (mm)", fontsize=8)
    axes.set_ylim(0, None)


def _start_curves(
    axes: Axes,
    values: Float[np.ndarray, "T1 S"],
    mean: Float[np.ndarray, " T1"],
    best: int | None = None,
) -> None:
    axes.set_prop_cycle(color=start_colours(values.shape[1], best))
    axes.plot(values, linewidth=0.8)
    axes.plot(mean, color="black", linewidth=1.8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    plots.tidy(axes)


def _in_decades(axes: Axes, values: Float[np.ndarray, " M"]) -> None:
    """Set a logarithmic scale over whole powers of ten, so that at least two have labels."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    if values.size:
        low, high = np.floor(np.log10([values.min(), values.max()]))
        axes.set_ylim(10**low, 10 ** (high + 1))


def _above_zero(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """NaN for zero, which has no place on a logarithmic axis."""
    return np.where(values > 0, values, np.nan)


def convergence_figure(cases: Convergence, mean_shape_mm: Float[np.ndarray, " N"]) -> Figure:
    """Draw error, movement and spread by iteration: median and quartiles over cases.

    Args:
        cases: Convergence of N cases.
        mean_shape_mm: Mean error of the mean shape in each case, the guess before that;
            NaN where no true position is known.
    """
    figure = plots.new_figure(6.5, 4.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    if np.isfinite(mean_shape_mm).any():
        guess = float(np.nanmedian(mean_shape_mm))
        above.axhline(guess, color=plots.ORANGE, linestyle="--", label="mean shape (median)")
    _band(above, cases.error_mm, plots.BLUE, "prediction: median and quartiles of the cases")
    _band(below, cases.movement_mm, plots.BLUE, "movement in the iteration")
    _band(below, cases.spread_mm, plots.ORANGE, "spread of the starts")
    above.set(ylabel="Mean radial error (mm)", ylim=(0, None))
    below.set(xlabel="Iteration", ylabel="Distance (mm)", ylim=(0, None))
    for axes in (above, below):
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plots.tidy(axes)
    return figure


def _band(axes: Axes, values: Float[np.ndarray, "N T1"], colour: str, label: str) -> None:
    """Draw the median over cases on a band from the first to the third quartile."""
    known = np.flatnonzero(np.isfinite(values).any(axis=0))
    quartiles = np.nanpercentile(values[:, known], [25, 50, 75], axis=0)
    low, middle, high = quartiles.reshape(3, -1)  # also for no known iteration
    axes.fill_between(known, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(known, middle, color=colour, marker="o", markersize=2.5, label=label)

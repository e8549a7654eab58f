"""Figures of a comparison: errors of each method, and what methods cost as work grows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from beside.cell import Cell, Cost
from beside.table import Measured
from pin_lightning.evaluation.bootstrap import cluster_interval
from pin_lightning.reports.figures.plots import BLUE, ORANGE, Figure, new_figure, tidy

BELOW: Mapping[str, Any] = {
    "loc": "outside lower center",
    "ncols": 4,
    "frameon": False,
    "fontsize": 8,
}


def figure_of(found: Sequence[Measured]) -> Figure:
    """Draw mean errors and shares with their intervals, one method a row, in the given order."""
    figure = new_figure(7.5, 1.6 + 0.34 * len(found))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    at = np.arange(len(found))
    _means(left, [one.errors_mm for one in found], "mean, 95 % interval")
    quantiles = [np.nanpercentile(one.errors_mm, (50, 95)) for one in found]
    medians, most = np.array(quantiles).T
    left.plot(medians, at, "|", color="black", ms=11, mew=1.5, label="median")
    left.plot(most, at, "o", mfc="none", mec=BLUE, ms=5, label="95th percentile")
    guesses = [np.nanmean(one.mean_shape_mm) for one in found]
    left.plot(guesses, at, "D", color=ORANGE, ms=4, label="mean shape (mean)")
    left.set_yticks(at, [one.name for one in found], parse_math=False)
    left.set(xlabel="Radial error (mm)", xlim=(0, None), ylim=(len(found) - 0.4, -0.6))
    _means(right, [100 * one.is_worse for one in found])
    right.set(xlabel="Worse than the mean shape (%)", xlim=(0, None))
    for axes in (left, right):
        tidy(axes)
    figure.legend(**BELOW)
    return figure


def growth_figure(costs: Mapping[Cell, Cost]) -> Figure:
    """Draw the time to localise against landmarks, and against voxels, each method a line.

    A line ends where the method does.
    """
    figure = new_figure(8.0, 3.8)
    panels = figure.subplots(1, 2, sharey=True)
    fewest = min(cell.landmarks for cell in costs)
    times = {cell: cost.localise_seconds for cell, cost in costs.items()}
    known = [(cell, seconds) for cell, seconds in times.items() if seconds is not None]
    landmarks = [(cell, cell.landmarks, one) for cell, one in known if cell.side == 1]
    voxels = [
        (cell, math.prod(cell.grid.size), one) for cell, one in known if cell.landmarks == fewest
    ]
    for axes, label, points in zip(
        panels, ("Landmarks", "Voxels"), (landmarks, voxels), strict=True
    ):
        for method in dict.fromkeys(cell.method for cell in costs):
            line = sorted((at, seconds) for cell, at, seconds in points if cell.method == method)
            at, seconds = zip(*line, strict=True) if line else ((), ())
            axes.plot(at, seconds, "o-", ms=4, label=method)
        axes.set(xlabel=label, xscale="log", yscale="log")
        tidy(axes)
    panels[0].set_ylabel("Localising a volume (s)")
    figure.legend(*panels[0].get_legend_handles_labels(), **BELOW)
    return figure


def _means(axes: Axes, values: Sequence[np.ndarray], label: str | None = None) -> None:
    """Means of values [N, L], with their intervals over cases."""
    at = np.arange(len(values))
    means = np.array([np.nanmean(one) for one in values])
    ends = [cluster_interval(one, np.mean, np.random.default_rng(0)) for one in values]
    axes.hlines(at, *np.array(ends).T, BLUE, linewidth=2, label=label)
    axes.plot(means, at, "o", color=BLUE, ms=6)

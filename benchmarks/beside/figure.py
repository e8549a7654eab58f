"""Figure of a comparison: errors of each method, and landmarks worse than the mean shape."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from beside.table import Measured
from pin_lightning.evaluation.bootstrap import cluster_interval
from pin_lightning.reports.figures.plots import BLUE, ORANGE, Figure, new_figure, tidy


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
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _means(axes: Axes, values: Sequence[np.ndarray], label: str | None = None) -> None:
    """Means of values [N, L], with their intervals over cases."""
    at = np.arange(len(values))
    means = np.array([np.nanmean(one) for one in values])
    ends = [cluster_interval(one, np.mean, np.random.default_rng(0)) for one in values]
    axes.hlines(at, *np.array(ends).T, BLUE, linewidth=2, label=label)
    axes.plot(means, at, "o", color=BLUE, ms=6)

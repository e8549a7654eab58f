"""Charts of a run's page: success rate by radius, and observed against asked coverage."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from pin_lightning.evaluation.coverage import Covered
from pin_lightning.reports.figures.plots import BLUE, ORANGE, Figure, new_figure, tidy

PAGE_INCHES = 4.3  # 8 points stay legible on a phone
# Colours of Okabe and Ito; lines differ by their dashes, too.
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#B8860B")
DASHES = ("-", (0, (4, 2)), "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 2)))


def success_figure(
    errors_mm: Mapping[str, Float64[np.ndarray, "N L"]], radii_mm: Sequence[float]
) -> Figure:
    """Plot the share of the landmarks within each radius, for several methods.

    Args:
        errors_mm: Radial errors by method, at least one each, NaN where unknown; this run first.
        radii_mm: Radii of the success rates, marked on the logarithmic axis.
    """
    finite = {name: np.sort(one[np.isfinite(one)]) for name, one in errors_mm.items()}
    figure = new_figure(PAGE_INCHES, 3.1)
    axes = figure.add_subplot()
    for index, (name, one) in enumerate(finite.items()):
        shares = np.arange(len(one) + 1) / len(one)
        radii = np.r_[1e-9, np.maximum(one, 1e-9)]  # a logarithm needs more than 0
        (line,) = axes.step(radii, shares, where="post", label=name[:28])
        line.set(color=COLOURS[index % 6], linestyle=DASHES[index % 6])
        line.set_linewidth(1.4 if index else 2.2)
    _radius_axis(axes, list(finite.values()), radii_mm)
    axes.set(xlabel="Radius (mm)", ylabel="Landmarks within", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    tidy(axes)
    legend = figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _radius_axis(axes: Axes, sorted_mm: Sequence[np.ndarray], radii_mm: Sequence[float]) -> None:
    """Set the range of radii from the 1st to the 99th percentile of the errors."""
    low = min(float(np.quantile(one, 0.01)) for one in sorted_mm)
    high = max(float(np.quantile(one, 0.99)) for one in sorted_mm)
    high = 1.2 * max(high, 1e-3)
    axes.set(xscale="log", xlim=(max(low / 1.2, high / 1000), high))
    left, right = axes.get_xlim()
    shown = [radius for radius in radii_mm if left <= radius <= right]
    if len(shown) >= 2:
        axes.set_xticks(shown)
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda radius, _: f"{radius:g}"))


def coverage_figure(covered: Sequence[Covered], asked: float) -> Figure:
    """Plot observed against asked coverage, with intervals; exact error bars are on the diagonal.

    The level `asked` for the radii of predictions is highlighted.
    """
    figure = new_figure(PAGE_INCHES, 3.1)
    axes = figure.add_subplot()
    levels = np.array([one.asked for one in covered])
    observed = np.array([one.observed for one in covered])
    ends = np.array([one.interval or (one.observed, one.observed) for one in covered])
    least = float(min(0.45, ends.min() - 0.05))
    axes.plot((0, 1), (0, 1), color="#777777", linewidth=0.9, label="exactly as asked")
    axes.fill_between(levels, *ends.T, color=BLUE, alpha=0.18, linewidth=0, label="interval")
    axes.plot(levels, observed, "o-", color=BLUE, ms=3.5, linewidth=1.4, label="observed")
    at = levels == asked
    axes.vlines(levels[at], *ends[at].T, color=ORANGE, linewidth=1.6)
    axes.plot(levels[at], observed[at], "D", color=ORANGE, ms=6, label="of this run's radii")
    axes.set(xlabel="Coverage asked", ylabel="Coverage observed")
    axes.set(xlim=(0.47, 1.0), ylim=(least, 1.01))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    tidy(axes)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    return figure
